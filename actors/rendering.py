"""Render jinja2 templates of models and users in a process that has limits and can be killed.

A template can loop for ever, fill the memory or recurse without end. So all templates are rendered by another program
(`template_process`), which is reused as long as it behaves. Many texts are sent at once, and what was rendered is kept,
because the same prompts are needed several times: to fit them into the context, to size the cache, to decode them.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from actors.errors import QuantAssayError
from actors.own_process import OwnProcess, ProcessEnded

PROGRAM = Path(__file__).with_name("template_process.py")
TEXTS_PER_REQUEST = 32
KEPT_CHARACTERS = 2**25
"""Size of what is kept, in characters. If it grows larger, all of it is forgotten."""

Kind = Literal["chat", "prompt"]
"""What a template is for: a chat template of a model, or the prompt of a custom benchmark."""


@dataclass(frozen=True)
class RenderLimits:
    """What rendering may use. Texts usually take less than 0.1 ms each."""

    cpu_s: float = 2.0
    """Processor time of one request, of up to `TEXTS_PER_REQUEST` texts. A busy machine changes nothing."""
    cpu_per_text_s: float = 1e-4
    cpu_per_character_s: float = 5e-7
    """What all texts of a call may use on top of `cpu_s`: for each text, and for each character that it is given."""
    memory_bytes: int = 2**29
    """Memory on top of what the libraries take themselves."""
    characters: int = 2**27
    """What all texts of a call may have."""
    wall_s: float = 60.0
    """Wall time of one request, for a process that hangs without computing."""


class TemplateFailed(QuantAssayError):
    """A template cannot render a text. The message names the line of the template, if it is known."""

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(reason if line is None else f"line {line}: {reason}")


class TemplateUnreadable(TemplateFailed):
    """A template is no jinja2. It renders no text at all."""


class TemplateOverLimit(TemplateFailed):
    """A template takes too much time or memory. It must not be used for any text."""


Results = list[str | TemplateFailed]
"""For each text: the text, or why there is none."""
_REASONS = {
    "time": "it takes more than {cpu_s:.3g} s of processor time",
    "memory": "it takes more than {mib} MiB of memory",
    "length": "its text is far longer than what it is given",
    "depth": "it calls itself without end, or is nested too deeply",
}


@dataclass
class _Budget:
    """What the texts of a call may use together, and what is left of it."""

    cpu_s: float
    left_s: float
    left_characters: int


class Renderer:
    """Owner of one rendering process. It is started when first needed, and again after it ended."""

    def __init__(self, limits: RenderLimits | None = None) -> None:
        self._limits = limits or RenderLimits()
        broken = "jinja2 cannot be loaded: `make setup` installs it"
        self._process = OwnProcess(PROGRAM, broken, memory_bytes=self._limits.memory_bytes)
        self.close = self._process.close
        self._kept: dict[bytes, str | TemplateFailed] = {}
        self._kept_characters = 0

    def render(self, template: str, variables: Sequence[Mapping[str, Any]], kind: Kind = "chat") -> Results:
        """Render a template once for each mapping of variables. Each gives its text, or why there is none.

        After a text that passes a limit no other is tried: all that follow get its error.
        Raises `ProcessNotStarted` if nothing can be rendered.
        """
        salt = hashlib.sha256(json.dumps([kind, template]).encode()).digest()
        given = [json.dumps(one) for one in variables]
        names = [hashlib.sha256(salt + text.encode()).digest() for text in given]
        asked = {name: one for name, one in zip(names, variables, strict=True) if name not in self._kept}
        budget = self._budget(len(asked), sum(map(len, given)))
        fresh = dict(zip(asked, self._fresh(template, list(asked.values()), kind, budget), strict=True))
        found = [fresh[name] if name in fresh else self._kept[name] for name in names]
        self._keep(fresh)
        return found

    def check(self, template: str, kind: Kind) -> TemplateFailed | None:
        """Return why no text can be rendered with a template, or None. Nothing of the template is run."""
        results = self._request(template, [], kind, self._budget(0, 0))
        return next((one for one in results if isinstance(one, TemplateFailed)), None)

    def _budget(self, n_texts: int, n_given: int) -> _Budget:
        limits = self._limits
        cpu_s = limits.cpu_s + limits.cpu_per_text_s * n_texts + limits.cpu_per_character_s * n_given
        return _Budget(cpu_s, cpu_s, limits.characters)

    def _fresh(self, template: str, asked: Sequence[Mapping[str, Any]], kind: Kind, budget: _Budget) -> Results:
        found: Results = []
        for start in range(0, len(asked), TEXTS_PER_REQUEST):
            found += self._request(template, asked[start : start + TEXTS_PER_REQUEST], kind, budget)
            if isinstance(found[-1], TemplateUnreadable | TemplateOverLimit):
                return found + found[-1:] * (len(asked) - len(found))  # each further text could take as long
        return found

    def _keep(self, fresh: Mapping[bytes, str | TemplateFailed]) -> None:
        self._kept_characters += sum(len(one) for one in fresh.values() if isinstance(one, str))
        if self._kept_characters > KEPT_CHARACTERS:
            self._kept, self._kept_characters = {}, 0
            return
        self._kept.update(fresh)

    def _request(self, template: str, variables: Sequence[Mapping[str, Any]], kind: Kind, budget: _Budget) -> Results:
        """Render some texts within what is left. The results end with the first text that passes a limit."""
        cpu_s = min(self._limits.cpu_s, budget.left_s)
        told_s = self._limits.cpu_s if cpu_s == self._limits.cpu_s else budget.cpu_s
        texts = {"template": template, "kind": kind, "variables": variables}
        question = texts | {"cpu_s": cpu_s, "characters": budget.left_characters}
        try:
            # The program ends a little earlier than the kernel would end it, so that it can tell the line.
            said = json.loads(self._process.ask(question, wall_s=self._limits.wall_s, cpu_s=cpu_s + 1))
        except ProcessEnded as error:
            if error.over_time or error.over_memory:
                return [self._over("time" if error.over_time else "memory", told_s)]
            return [TemplateOverLimit(f"rendering it ends the process ({error})")]
        results = [self._result(one, told_s) for one in said["results"]]
        if results and isinstance(results[-1], TemplateOverLimit):
            self.close()  # the state of the process is unknown
        budget.left_s = max(budget.left_s - said["cpu_s"], 1e-3)  # a timer of 0 s never ends
        budget.left_characters -= sum(len(text) for text in results if isinstance(text, str))
        return results

    def _result(self, said: Mapping[str, Any], cpu_s: float) -> str | TemplateFailed:
        if "text" in said:
            return str(said["text"])
        if "limit" in said:
            return self._over(said["limit"], cpu_s, said["line"])
        failed = TemplateUnreadable if "unreadable" in said else TemplateFailed
        return failed(said["error"], said["line"])

    def _over(self, limit: str, cpu_s: float, line: int | None = None) -> TemplateOverLimit:
        return TemplateOverLimit(_REASONS[limit].format(cpu_s=cpu_s, mib=self._limits.memory_bytes // 2**20), line)


@functools.cache
def renderer() -> Renderer:
    """Return this process's only renderer, which is reused."""
    return Renderer()
