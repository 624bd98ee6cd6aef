"""The questions of a benchmark, as workers get them: messages, what is asked of a model, and how answers are scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from conf.schema.answers import Thinking

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True)
class Message:
    """One message of a prompt, before any chat template."""

    role: Role
    content: str
    shot: int | None = None
    """Number of the worked example that it belongs to. If a prompt is too long, the lowest numbers are left out first.
    A chat template sees neighbouring messages of the same role as one message."""


@dataclass(frozen=True)
class TemplateUse:
    """How a chat template is used, and how long a model may think before it answers."""

    template: str | None = None
    """The text of a chat template. None: the GGUF's own is used."""
    thinking: Thinking = "template"
    """What the configuration asks for."""
    arguments: str = "{}"
    """Further variables for the template, as a JSON object: those of the configuration, and those that switch
    thinking."""
    thinking_tokens: int = 0
    """Token budget of the thoughts of an answer. 0: they count in the limit of the answer."""


@dataclass(frozen=True)
class ChatSettings:
    """Chat settings of a model that replace or add to those in its GGUF."""

    system: str | None = None
    """The system prompt. None: there is none."""
    use: TemplateUse = field(default_factory=TemplateUse)


@dataclass(frozen=True)
class Generate:
    """Generate an answer, sampled once per seed."""

    messages: tuple[Message, ...]
    chat: bool
    """True: the messages go through the model's chat template, if it has one. False: their contents are joined."""
    stop: tuple[str, ...]
    """Texts that end the answer."""
    max_tokens: int
    """Token limit of the answer; of each answer, if there are several turns."""
    then: tuple[str, ...] = ()
    """What the user says after the first answer, and after each further one. The model sees its answers before."""
    temperature: float | None = None
    """Temperature of this item. None: that of the pipeline."""


@dataclass(frozen=True)
class Choose:
    """Compare the log-likelihoods of given continuations of one context."""

    messages: tuple[Message, ...]
    chat: bool
    """See `Generate`."""
    choices: tuple[str, ...]
    """The continuations, each with a leading space if the prompt needs one."""

    @property
    def lengths(self) -> tuple[int, ...]:
        """Number of characters of each choice. A leading space only joins it to the prompt and does not count."""
        return tuple(len(choice.removeprefix(" ")) for choice in self.choices)


@dataclass(frozen=True)
class Measure:
    """Measure the negative log-likelihood of tokens, each given all tokens before it."""

    tokens: tuple[int, ...]
    first_scored: int
    """Index of the first token that is measured."""


@dataclass(frozen=True)
class Call:
    """Call a custom function, which loads the model itself and returns one score per item."""

    file: str
    """Path of the Python file."""
    sha256: str
    """Hash of the file when the run was planned."""
    options: Mapping[str, Any] = field(hash=False)
    """Options from the benchmark's YAML file, passed to the function."""
    limit: int | None
    """Most items that the function should evaluate. None: no limit."""
    data_dir: str | None
    """The user's data folder."""
    time_limit_s: float
    """Time limit in seconds for one model and seed."""
    scale: tuple[float, float] | None = None
    """Lowest and highest score. None: no bounds."""


Task = Generate | Choose | Measure | Call


@dataclass(frozen=True)
class Item:
    """One question of a benchmark."""

    item_id: str
    task: Task
    target: Any
    """The expected answer, as JSON values. For `Choose` it is the index of the right choice, for `Measure` None."""
    prompt_hash: str
    """Hash of the messages or tokens before any chat template. A record's hash also covers the sampling settings."""
    cluster: str | None = None
    """The source that it shares with other items, for example an article. None: it shares none."""
    shots_dropped: int = 0
    """Number of worked examples left out of `task` because the model's context has no room for them."""
    too_long: bool = False
    """True if it does not fit even without examples. No engine decodes it, and it is unscored in every arm."""
    n_letters: int | None = None
    """Number of choices if the answer is the letter of one of them, so that guessing gets some answers right."""


@dataclass(frozen=True)
class Scorer:
    """How answers are scored: a name from `conf.scorers`, and that scorer's settings."""

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Settings by name, as JSON values. Most scorers have none."""
