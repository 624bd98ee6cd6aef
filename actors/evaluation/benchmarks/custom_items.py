"""Custom benchmarks written as YAML files: put each line of the data through the prompt template.

`conf.custom_benchmarks` defines what such a file may hold, `targets` what an expected answer may be. Templates are
rendered in a process with limits (`actors.rendering`). If a template uses a field that a line does not have, the
message names that line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from actors.evaluation.benchmarks.chunks import load_text
from actors.evaluation.benchmarks.reading import FAULTS_SHOWN, BadLine, Row, data_file, field, read_lines
from actors.evaluation.benchmarks.targets import LETTERS, read_target
from actors.evaluation.contract import Benchmark, BenchmarkSpec, Kind, LoaderInputs, RawData, RawItem, SourceFile
from actors.hashing import file_sha256
from actors.items import Choose, Generate, Message, Scorer
from actors.rendering import TemplateFailed, TemplateOverLimit, renderer
from conf.custom_benchmarks import CustomBenchmark, ScorerSettings
from conf.faults import BadInput, Fault
from conf.user_files import DATA_FILE_BYTES, read_user_text

_BETWEEN_SHOTS = "\n\n"


def prompted_benchmark(custom: CustomBenchmark, folder: Path, scorer: ScorerSettings) -> Benchmark:
    """Return the benchmark that a YAML file in `folder` describes. Raise `BadInput` for a broken template."""
    kind = scorer.rules.kind
    title = custom.title or custom.name
    spec = BenchmarkSpec(
        name=custom.name,
        version=3 if kind == "generate" else 1,
        kind=kind,
        metric="nll" if kind == "measure" else custom.metric,
        higher_is_better=custom.higher_is_better and kind != "measure",
        shots=0,
        title={"en": title, "ja": title},
        url=custom.source,
        licence=custom.licence,
        revision="a file of the user's own",
        scorer=Scorer(scorer.name, scorer.settings),
        scale=custom.score_scale,
        category=custom.category,
    )
    return Benchmark(spec, _text_loader(custom, folder) if kind == "measure" else _loader(custom, folder, scorer))


def _text_loader(custom: CustomBenchmark, folder: Path) -> Callable[[LoaderInputs], RawData]:
    def load(inputs: LoaderInputs) -> RawData:
        path = data_file(folder, custom.name, str(custom.data), key=_key(custom, "data"))
        text = read_user_text(path, key=_key(custom, "data"), limit_bytes=DATA_FILE_BYTES, within=folder)
        return load_text(inputs, text, SourceFile(path.name, file_sha256(path)))

    return load


def _key(custom: CustomBenchmark, name: str) -> str:
    """Return how fault messages spell a key of a benchmark's YAML file."""
    return f"{custom.name}: {name}"


@dataclass(frozen=True)
class _Line:
    """One line of the data."""

    row: Row
    item_id: str
    target: Any
    choices: tuple[str, ...]
    cluster: str | None

    @property
    def expected(self) -> Any:
        """The target to show if this line is an example, or the text of the right choice."""
        if self.choices:
            return self.choices[self.target]
        return self.target[0] if isinstance(self.target, list) else self.target


@dataclass(frozen=True)
class _Shot:
    """One example, rendered."""

    prompt: str
    answer: str


def _loader(custom: CustomBenchmark, folder: Path, scorer: ScorerSettings) -> Callable[[LoaderInputs], RawData]:
    for key in ("prompt", "shot_answer"):
        _check_template(custom, key)

    def line_of(row: Row) -> _Line:
        choices = _choices(custom, row)
        target = read_target(scorer.rules.target, str(custom.target), row, choices)
        return _Line(row, str(row[custom.id]), target, choices, _cluster(custom, row))

    def read(name: str) -> tuple[Path, list[_Line]]:
        key = _key(custom, name)
        path = data_file(folder, custom.name, str(getattr(custom, name)), key=key)
        return path, read_lines(path, custom.id, line_of, key=key, within=folder)

    def load(inputs: LoaderInputs) -> RawData:
        path, lines = read("data")
        prompts = _rendered(custom, "prompt", path, [line.row for line in lines])
        paths, shots = [path], list[_Shot]()
        if custom.shots_data is not None:
            shots_path, found = read("shots_data")
            shots = _shots(custom, shots_path, found[: custom.shots])
            _check_unseen(custom, path, shots_path, prompts, shots)
            paths.append(shots_path)
        raw_items = tuple(
            _raw_item(custom, scorer.rules.kind, inputs, line, prompt, shots)
            for line, prompt in zip(lines, prompts, strict=True)
        )
        if scorer.rules.target == "letter":
            # The prompts may list more choices. Guessing then gets less than what is taken for chance.
            n_letters = 1 + max(LETTERS.index(raw.target) for raw in raw_items)
            raw_items = tuple(replace(raw, n_letters=n_letters) for raw in raw_items)
        files = tuple(SourceFile(path.name, file_sha256(path)) for path in paths)
        return RawData(raw_items, files, len(shots))

    return load


def _shots(custom: CustomBenchmark, path: Path, lines: Sequence[_Line]) -> list[_Shot]:
    prompts = _rendered(custom, "prompt", path, [line.row for line in lines])
    answers = _rendered(custom, "shot_answer", path, [{"expected": line.expected, **line.row} for line in lines])
    return [_Shot(prompt, answer) for prompt, answer in zip(prompts, answers, strict=True)]


def _check_unseen(
    custom: CustomBenchmark, path: Path, shots_path: Path, prompts: Sequence[str], shots: Sequence[_Shot]
) -> None:
    """Raise `BadInput` if an example is also asked: the model would see the answer."""
    shown = {shot.prompt for shot in shots}
    both = [number for number, prompt in enumerate(prompts, start=1) if prompt in shown]
    if both:
        got = f"{shots_path}, which has {len(both)} of the questions of {path.name} (line {both[0]}, for example)"
        raise BadInput(Fault(_key(custom, "shots_data"), got, "examples that are not asked", "Remove them from one."))


def _raw_item(
    custom: CustomBenchmark, kind: Kind, inputs: LoaderInputs, line: _Line, prompt: str, shots: Sequence[_Shot]
) -> RawItem:
    messages = _turns(custom, prompt, shots) if custom.chat else _plain(prompt, shots)
    if kind == "choose":
        # A choice continues the prompt after a space, unless the prompt already ends with white space.
        space = "" if messages[-1].content[-1:].isspace() or custom.chat else " "
        choices = tuple(space + choice for choice in line.choices)
        return RawItem(line.item_id, Choose(messages, custom.chat, choices), line.target, line.cluster)
    max_tokens = min(custom.max_tokens, inputs.sampling.max_tokens)
    return RawItem(line.item_id, Generate(messages, custom.chat, custom.stop, max_tokens), line.target, line.cluster)


def _turns(custom: CustomBenchmark, prompt: str, shots: Sequence[_Shot]) -> tuple[Message, ...]:
    messages = [] if custom.system is None else [Message("system", custom.system)]
    for shot in shots:
        messages += [Message("user", shot.prompt), Message("assistant", shot.answer)]
    return (*messages, Message("user", prompt))


def _plain(prompt: str, shots: Sequence[_Shot]) -> tuple[Message, ...]:
    shown = "".join(f"{_joined(shot.prompt, shot.answer)}{_BETWEEN_SHOTS}" for shot in shots)
    return (Message("user", shown + prompt),)


def _joined(prompt: str, answer: str) -> str:
    return prompt + answer if prompt[-1:].isspace() or answer[:1].isspace() else f"{prompt} {answer}"


def _cluster(custom: CustomBenchmark, row: Row) -> str | None:
    """Return the source of a line; None if the file names no field for it."""
    if custom.cluster is None:
        return None
    source = row.get(custom.cluster)
    if isinstance(source, bool) or not isinstance(source, str | int) or source == "":
        raise BadLine(f"'{custom.cluster}' with a text or a whole number, the source that items share")
    return str(source)


def _choices(custom: CustomBenchmark, row: Row) -> tuple[str, ...]:
    if custom.choices is None:
        return ()
    choices = field(row, custom.choices, list)
    if len(choices) < 2 or not all(isinstance(choice, str) and choice for choice in choices):
        raise BadLine(f"'{custom.choices}' with at least two texts")
    twice = [choice for choice, times in Counter(choices).items() if times > 1]
    if twice:
        raise BadLine(f"'{custom.choices}' with texts that differ ({twice[0][:40]!r} is there twice)")
    return tuple(choices)


def _check_template(custom: CustomBenchmark, key: str) -> None:
    """Raise `BadInput` if a text is no jinja2 template. Nothing of it is run here."""
    failed = renderer().check(str(getattr(custom, key)), kind="prompt")
    if failed is not None:
        raise BadInput(_template_fault(custom, key, f"a jinja2 template ({failed})"))


def _template_fault(custom: CustomBenchmark, key: str, allowed: str) -> Fault:
    return Fault(_key(custom, key), str(getattr(custom, key)), allowed, "Fix the template.")


def _rendered(custom: CustomBenchmark, key: str, path: Path, seen: Sequence[Row]) -> list[str]:
    """Render a template with each row of a file.

    Raises:
        BadInput: the first rows that fail; or the template, if all rows fail alike or one takes too much.
    """
    texts, failed = list[str](), dict[int, TemplateFailed]()
    for number, one in enumerate(renderer().render(str(getattr(custom, key)), seen, kind="prompt"), start=1):
        if isinstance(one, TemplateFailed):
            failed[number] = one
        elif not one.strip():
            failed[number] = TemplateFailed("the text is empty")
        else:
            texts.append(one)
    over_limit = [number for number, error in failed.items() if isinstance(error, TemplateOverLimit)]
    fail_alike = len(failed) == len(seen) and len(set(map(str, failed.values()))) == 1
    if over_limit or fail_alike:
        number = over_limit[0] if over_limit else 1
        wanted = "is quick to render" if over_limit else "can be rendered"
        allowed = f"a template that {wanted} ({failed[number]}, with line {number} of {path.name})"
        raise BadInput(_template_fault(custom, key, allowed))
    if failed:
        raise BadInput(
            Fault(
                f"{path}:{number}",
                str(seen[number - 1])[:80],
                f"the fields that the template `{key}` names ({error})",
                "Fix the line or the template.",
            )
            for number, error in list(failed.items())[:FAULTS_SHOWN]
        )
    return texts
