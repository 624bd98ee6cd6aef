"""The examples of the README: its fenced blocks, and the commands in them."""

from __future__ import annotations

import itertools
import re
import shlex
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
_FENCED = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    language: str
    """Empty for output and for pictures made of text."""
    text: str


def blocks() -> list[Block]:
    """Return the fenced blocks in their order."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    return [Block(language, textwrap.dedent(text)) for _, language, text in _FENCED.findall(readme)]


def only_block(language: str, part: str) -> str:
    """Return the text of the block that contains `part`."""
    (found,) = [block.text for block in blocks() if block.language == language and part in block.text]
    return found


def commands() -> Iterator[list[str]]:
    """Yield the words of each shell command, without comments."""
    for block in blocks():
        if block.language == "sh":
            for line in block.text.replace("\\\n", " ").splitlines():
                if words := shlex.split(line, comments=True):
                    yield words


def job_of(words: list[str]) -> tuple[str, list[str]] | None:
    """Return the job that a command starts, possibly on a cluster, and its options. None: it starts no job."""
    for place, (option, module) in enumerate(itertools.pairwise(words)):
        if option == "-m" and module.startswith("jobs."):
            return module.removeprefix("jobs."), words[place + 2 :]
    return None
