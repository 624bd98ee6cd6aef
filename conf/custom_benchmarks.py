"""Custom benchmarks: the schema of their YAML files.

    name: capitals
    data: capitals.jsonl              # beside this file; one JSON object per line, each with an id
    prompt: "Q: {{ question }}\\nA:"   # jinja2; the fields of a line by their names
    target: answer                    # the field with the expected answer, or with a list of accepted answers
    scorer: contains
    max_tokens: 16
    stop: ["\\n"]

`actors/evaluation/scorers` says what each scorer takes as the answer. Data and prompts are read in `actors`, too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from conf.faults import BadInput
from conf.load import faults_of
from conf.schema.base import BENCHMARK_NAME, LONGEST_NAME, Count, Frozen
from conf.scorers import CUSTOM_SCORERS, SCORERS, ScorerRules
from conf.yaml_files import check_plain, read_yaml

TIME_LIMIT_S = 3600.0
LONGEST_TIME_S = 30 * 24 * 3600.0
LARGEST_SCORE = 1e9
"""Largest size of a score. Statistics add up squares, so the scores of a long benchmark must stay far below the largest
float."""
UNIT_SCALE = (0.0, 1.0)
"""The scale of right and wrong: a mean on it is a share."""
WHOLE = "whole"
"""Id of the single item of a benchmark that is a Python function, and of a result that is only one number."""


METRICS_OF_TEXT = re.compile(r"(nll|perplexity|kld|top_agreement|p_change_rms)(_.*)?|gold_(probability|loglik)")
"""Names of metrics that only measured texts and choices have. Statistics and charts treat them apart."""


class ScorerSettings(Frozen):
    """A scorer from `conf.scorers` with its settings."""

    name: str
    pattern: str | None = None
    """For `regex`: the last match counts; of that match the first group, if it has one."""

    @property
    def rules(self) -> ScorerRules:
        """What this scorer works with."""
        return SCORERS[self.name]

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that were given, by name."""
        return self.model_dump(exclude={"name"}, exclude_none=True)

    @model_validator(mode="before")
    @classmethod
    def _by_name_alone(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except (re.error, OverflowError, RecursionError, MemoryError) as error:
            raise ValueError(f"a regular expression of Python that compiles ({error})") from None
        return pattern

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in CUSTOM_SCORERS:
            raise ValueError(f"one of {', '.join(CUSTOM_SCORERS)}")
        return name

    @model_validator(mode="after")
    def _settings_of_this_scorer(self) -> Self:
        for key in sorted(self.settings.keys() ^ self.rules.settings):
            users = " or ".join(name for name, rules in SCORERS.items() if key in rules.settings)
            raise ValueError(f"`{key}` with the scorer {users}, and with no other")
        return self


class CustomBenchmark(Frozen):
    """One custom benchmark: questions in a file (`data`), or a Python function that does the work (`python`)."""

    name: Annotated[str, Field(pattern=rf"^{BENCHMARK_NAME}$", max_length=LONGEST_NAME)]
    """Default: the file name without its ending, in lower case."""
    title: str | None = None
    category: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")] | None = None
    """The ability that it measures, such as `mathematical_reasoning` (known ones: `reporting/analysis/categories.py`)
    or a new name. Means and a chart group benchmarks by it."""
    metric: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")] = "accuracy"
    """Name of the mean score. With the scorer measured it is always `nll`."""
    higher_is_better: bool = True
    scale: tuple[float, float] | None = None
    """For the function: the lowest and the highest score of an item, such as [1, 5]. Intervals use it, and a score
    outside it is unscored. Default: [0, 1] if the metric is accuracy, else no bounds. Scorers always give 0 to 1."""
    source: str = ""
    """Where the items come from, for example a URL."""
    licence: str = ""
    data: Path | None = None
    """JSON lines, or a text if the scorer is `measured`; relative to the YAML file."""
    id: str = "id"
    """Name of the field with the id of an item."""
    cluster: str | None = None
    """Name of the field with the source that items share, such as an article. Intervals and tests then go by it."""
    prompt: str | None = None
    """jinja2 template of the question."""
    target: str | None = None
    """Name of the field with the expected answer; for `choice_loglik`: index or text of the right choice."""
    choices: str | None = None
    """For `choice_loglik`: name of the field with the list of choices."""
    scorer: ScorerSettings | None = None
    system: str | None = None
    """System message; only with `chat: true`."""
    chat: bool = False
    """True: use the model's chat template. False: plain completion."""
    shots_data: Path | None = None
    """File with the few-shot examples, in the same form as `data`; examples are never taken from `data` itself."""
    shots: Annotated[int, Field(ge=0, le=1000)] | None = None
    """Number of few-shot examples; None: all of `shots_data`."""
    shot_answer: str = "{{ expected }}"
    """jinja2 template of an example's answer. It sees the fields of the line and `expected`: the target, or the text of
    the right choice."""
    max_tokens: Count = 256
    """Longest answer, in tokens."""
    stop: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(max_length=64)] = ()
    """Strings that end an answer."""
    python: Path | None = None
    """A Python file with `evaluate_custom_benchmark(model_path, benchmark_config)`; relative to the YAML file."""
    options: Mapping[str, Any] = {}
    """For the function: passed to it in `benchmark_config`, under the same name."""
    sampled: bool = True
    """For the function: False if its scores do not depend on the seed."""
    time_limit_s: Annotated[float, Field(gt=0, le=LONGEST_TIME_S)] = TIME_LIMIT_S
    """For the function: time limit for one model and one seed, in seconds."""

    @field_validator("metric")
    @classmethod
    def _of_scores(cls, metric: str) -> str:
        if METRICS_OF_TEXT.fullmatch(metric):
            raise ValueError("a name that no metric of a measured text has (nll, perplexity, kld, ...)")
        return metric

    @field_validator("options")
    @classmethod
    def _of_json(cls, options: Mapping[str, Any]) -> Mapping[str, Any]:
        check_plain(dict(options), "options")
        return options

    @field_validator("scale")
    @classmethod
    def _low_and_high(cls, scale: tuple[float, float] | None) -> tuple[float, float] | None:
        if scale is not None and not -LARGEST_SCORE <= scale[0] < scale[1] <= LARGEST_SCORE:
            raise ValueError(f"the lowest and the highest score, such as [1, 5], within ±{LARGEST_SCORE:g}")
        return scale

    @property
    def score_scale(self) -> tuple[float, float] | None:
        """The scale that was declared, or that the scorer or the metric implies; None: no bounds are known."""
        if self.python is None:
            return None if self.scorer is not None and self.scorer.rules.kind == "measure" else UNIT_SCALE
        return UNIT_SCALE if self.scale is None and self.metric == "accuracy" else self.scale

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.python is not None and self.cluster is not None:
            raise ValueError("`cluster` only together with `data`: it names a field of a line")
        if (self.data is None) == (self.python is None):
            raise ValueError("either `data` or `python`")
        if self.python is None:
            self._check_asked()
        return self

    def _check_asked(self) -> None:
        if self.scale is not None:
            raise ValueError("`scale` only together with `python`: a scorer gives 0 to 1")
        if self.scorer is None:
            raise ValueError("a `scorer`, because there is `data`")
        if self.scorer.rules.kind == "measure":
            if self.cluster is not None:
                raise ValueError("no `cluster` with the scorer measured: the chunks of its text are a series")
            if self.prompt is not None or self.shots_data is not None:
                raise ValueError("neither `prompt` nor `shots_data` with the scorer measured: its data is the text")
            return
        if self.prompt is None or self.target is None:
            raise ValueError("a `prompt` and a `target`, because there is `data`")
        if (self.scorer.rules.kind == "choose") != (self.choices is not None):
            raise ValueError("`choices` with the scorer choice_loglik, and with no other scorer")
        if self.shots_data is not None and self.shots_data == self.data:
            raise ValueError("`shots_data` in another file than `data`: the examples would show the answers")
        if self.system is not None and not self.chat:
            raise ValueError("`system` only together with `chat: true`")


def custom_defaults(path: Path) -> CustomBenchmark:
    """Return the settings of a Python file that has no YAML file. Raises `BadInput` for a wrong file name."""
    return _validated({"name": path.stem.lower(), "python": path, "metric": "score"}, path)


def read_custom_benchmark(path: Path) -> CustomBenchmark:
    """Read the benchmark that a YAML file describes. Raises `BadInput`, naming the file and the key."""
    return _validated({"name": path.stem.lower(), **read_yaml(path, key="--benchmarks")}, path)


def _validated(values: Mapping[str, Any], path: Path) -> CustomBenchmark:
    try:
        return CustomBenchmark.model_validate(values)
    except ValidationError as error:
        raise BadInput(faults_of(error, CustomBenchmark, f"{path}: ")) from None
