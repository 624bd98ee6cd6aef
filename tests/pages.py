"""The README and its pages: their text, their fenced blocks, and the commands in them."""

from __future__ import annotations

import itertools
import re
import shlex
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
README, JAPANESE = ROOT / "README.md", ROOT / "README.ja.md"
FOLDER = ROOT / "conf" / "docs"
PAGES = (README, *sorted(FOLDER.glob("*.md")))
"""All pages in English. The Japanese README shows the examples of the English one, and a test checks that."""
_FENCED = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    language: str
    """Empty for output and for pictures made of text."""
    text: str


def text_of(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return _FENCED.sub("", page.read_text(encoding="utf-8"))


def blocks(*pages: Path) -> list[Block]:
    """Return the fenced blocks of some pages in their order, or of all."""
    texts = [page.read_text(encoding="utf-8") for page in pages or PAGES]
    return [Block(found[1], textwrap.dedent(found[2])) for text in texts for found in _FENCED.findall(text)]


def only_block(language: str, part: str) -> str:
    """Return the text of the block that contains `part`."""
    (found,) = [block.text for block in blocks() if block.language == language and part in block.text]
    return found


def commands(*pages: Path) -> Iterator[list[str]]:
    """Yield the words of each shell command, without comments."""
    for block in blocks(*pages):
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
