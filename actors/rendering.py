"""Render jinja2 templates of models and users in a process that has limits and can be killed.

A template can loop for ever, fill the memory or recurse without end. So all templates are rendered by another program
(`template_process`), which is reused as long as it behaves. Many texts are sent at once, and what was rendered is kept,
because the same prompts are needed several times: to fit them into the context, to size the cache, to decode them.
"""

from __future__ import annotations

import atexit
import functools
import hashlib
import json
import select
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from actors.errors import QuantAssayError

PROGRAM = Path(__file__).with_name("template_process.py")
TEXTS_PER_REQUEST = 32
KEPT_CHARACTERS = 2**25
"""Size of what is kept, in characters. If it grows larger, all of it is forgotten."""

Kind = Literal["chat", "prompt"]
"""What a template is for: a chat template of a model, or the prompt of a custom benchmark."""


@dataclass(frozen=True)
class RenderLimits:
    """What one request, of up to `TEXTS_PER_REQUEST` texts, may use. Texts usually take less than 1 ms each."""

    cpu_s: float = 2.0
    """Processor time, so that a busy machine changes nothing."""
    memory_bytes: int = 2**29
    """Memory on top of what the libraries take themselves."""
    wall_s: float = 60.0
    """Wall time, for a process that hangs without computing."""


class TemplateFailed(QuantAssayError):
    """A template cannot render a text. The message names the line of the template, if it is known."""

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(reason if line is None else f"line {line}: {reason}")


class TemplateOverLimit(TemplateFailed):
    """A template takes too much time or memory. It must not be used for any text."""


class RendererBroken(QuantAssayError):
    """The rendering process does not work at all. No template is the cause."""


_REASONS = {
    "time": "it takes more than {cpu_s:g} s of processor time",
    "memory": "it takes more than {mib} MiB of memory",
    "length": "its text is far longer than the messages",
    "depth": "it calls itself without end, or is nested too deeply",
}


class Renderer:
    """Owner of one rendering process. It is started when first needed, and again after it was killed."""

    def __init__(self, limits: RenderLimits | None = None) -> None:
        self._limits = limits or RenderLimits()
        self._process: subprocess.Popen[str] | None = None
        self._kept: dict[bytes, str | TemplateFailed] = {}
        self._kept_characters = 0

    def render(
        self, template: str, variables: Sequence[Mapping[str, Any]], kind: Kind = "chat"
    ) -> list[str | TemplateFailed]:
        """Render a template once for each mapping of variables. Each gives its text, or why there is none.

        After a text that passes a limit no other is tried: all that follow get its error.
        Raises `RendererBroken` if nothing can be rendered.
        """
        salt = hashlib.sha256(json.dumps([kind, template]).encode()).digest()
        names = [hashlib.sha256(salt + json.dumps(one).encode()).digest() for one in variables]
        missing = {name: one for name, one in zip(names, variables, strict=True) if name not in self._kept}
        fresh: dict[bytes, str | TemplateFailed] = {}
        asked = list(missing.items())
        for start in range(0, len(asked), TEXTS_PER_REQUEST):
            part = dict(asked[start : start + TEXTS_PER_REQUEST])
            results = self._request(template, list(part.values()), kind)
            fresh.update(zip(part, results, strict=True))
            if isinstance(results[-1], TemplateOverLimit):
                # Each further text could take as long.
                fresh |= {name: results[-1] for name, _ in asked[start + TEXTS_PER_REQUEST :]}
                break
        found = [fresh[name] if name in fresh else self._kept[name] for name in names]
        self._keep(fresh)
        return found

    def _keep(self, fresh: Mapping[bytes, str | TemplateFailed]) -> None:
        self._kept_characters += sum(len(one) for one in fresh.values() if isinstance(one, str))
        if self._kept_characters > KEPT_CHARACTERS:
            self._kept, self._kept_characters = {}, 0
            return
        self._kept.update(fresh)

    def _request(self, template: str, variables: list[Mapping[str, Any]], kind: Kind) -> list[str | TemplateFailed]:
        answers = self._ask({"template": template, "kind": kind, "variables": variables})
        if isinstance(answers, TemplateFailed):
            return [answers] * len(variables)
        results = [self._result(answer) for answer in answers]
        if isinstance(results[-1], TemplateOverLimit):
            self.close()  # the state of the process is unknown
        return results + results[-1:] * (len(variables) - len(results))

    def _result(self, answer: Mapping[str, Any]) -> str | TemplateFailed:
        if "text" in answer:
            return str(answer["text"])
        if "limit" not in answer:
            return TemplateFailed(answer["error"], answer["line"])
        return self._over(answer["limit"], answer["line"])

    def _over(self, limit: str, line: int | None = None) -> TemplateOverLimit:
        limits = self._limits
        return TemplateOverLimit(_REASONS[limit].format(cpu_s=limits.cpu_s, mib=limits.memory_bytes // 2**20), line)

    def _ask(self, request: Mapping[str, Any]) -> list[Mapping[str, Any]] | TemplateFailed:
        process = self._written(json.dumps(request) + "\n")
        assert process.stdout is not None
        if not select.select([process.stdout], [], [], self._limits.wall_s)[0]:
            self.close()
            return self._over("time")
        line = process.stdout.readline()
        if line:
            answers: list[Mapping[str, Any]] = json.loads(line)
            return answers
        code = process.wait()
        self.close()
        if code in (-signal.SIGXCPU, -signal.SIGKILL):  # the kernel kills if the machine's memory runs out
            return self._over("time" if code == -signal.SIGXCPU else "memory")
        return TemplateOverLimit(f"rendering it ends the process ({code})")

    def _written(self, line: str) -> subprocess.Popen[str]:
        """Send a line to the process and return it. If somebody has ended it, another one gets the line."""
        for _ in range(2):
            process = self._started()
            assert process.stdin is not None
            try:
                process.stdin.write(line)
                process.stdin.flush()
            except BrokenPipeError:
                self.close()
            else:
                return process
        raise RendererBroken("the process that renders templates has ended")

    def close(self) -> None:
        """Kill the process."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            limits = [str(self._limits.cpu_s), str(self._limits.memory_bytes)]
            # -P keeps this folder from shadowing the standard library.
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(PROGRAM), *limits],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            assert self._process.stdout is not None
            if self._process.stdout.readline() != "ready\n":
                self.close()
                raise RendererBroken("jinja2 cannot be loaded: `make setup` installs it")
        return self._process


@functools.cache
def renderer() -> Renderer:
    """Return this process's only renderer, which is reused."""
    made = Renderer()
    atexit.register(made.close)
    return made
