"""Read a text: a plain UTF-8 file, or the help topics that come with every CPython; all of it or a part.

Calibration and perplexity both read texts, so this is here and not in a role. A text is named by a path.
`PATH#2/3` is the second of three disjoint parts, each a run of consecutive documents: so one file can serve both
calibration and perplexity without giving them the same words. A `.py` file must hold a dictionary of strings, like
CPython's `pydoc_data/topics.py`. It is parsed as a literal and never executed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from conf.faults import BadInput, Fault
from conf.user_files import SMALL_FILE_BYTES, TEXT_FILE_BYTES, read_user_text

_PART = re.compile(r"^(?P<path>.+)#(?P<part>\d+)/(?P<parts>\d+)$")


@dataclass(frozen=True)
class TextSpec:
    """A file, and which part of it to read."""

    path: Path
    part: int = 1
    """Number of the part, from 1."""
    parts: int = 1
    """Number of parts that the file is divided into."""


def parse_spec(spec: str, *, key: str = "--calibration") -> TextSpec:
    """Parse `PATH` or `PATH#PART/PARTS`. Raises `BadInput`, naming `key`, if PART is not from 1 to PARTS."""
    match = _PART.match(spec)
    if match is None or Path(spec).is_file():
        return TextSpec(Path(spec))
    part, parts = int(match["part"]), int(match["parts"])
    if not 1 <= part <= parts:
        raise BadInput(Fault(key, spec, "PATH#PART/PARTS with 1 <= PART <= PARTS", "The first half is #1/2."))
    return TextSpec(Path(match["path"]), part, parts)


def read_text(spec: str, *, key: str = "--calibration") -> str:
    """Return the text that `spec` names, with LF line ends.

    Args:
        spec: `PATH` or `PATH#PART/PARTS`.
        key: the flag or configuration key that fault messages name.

    Raises:
        BadInput: the file is missing, unreadable, not UTF-8 or (`.py`) not a dictionary of strings, or the part
            that was asked for is empty.
    """
    wanted = parse_spec(spec, key=key)
    content = _decode(wanted.path, key)
    is_topics = wanted.path.suffix == ".py"
    if wanted.parts == 1 and not is_topics:
        text = content
    elif is_topics:
        text = "\n\n".join(_run(_topic_documents(content, wanted.path, key), wanted.part, wanted.parts))
    else:
        text = "".join(_run(content.splitlines(keepends=True), wanted.part, wanted.parts))
    if not text.strip():
        raise BadInput(Fault(key, spec, "a text with words in it", "This text, or this part of it, is empty."))
    return text


def _decode(path: Path, key: str) -> str:
    limit_bytes = SMALL_FILE_BYTES if path.suffix == ".py" else TEXT_FILE_BYTES
    text = read_user_text(path, key=key, limit_bytes=limit_bytes)
    # As Python reads text files: every kind of line end becomes LF.
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _topic_documents(source: str, path: Path, key: str) -> list[str]:
    """Return the topics in the order of their names, each paragraph only at its first occurrence.

    Topics quote each other at length: a fifth of the text occurs twice. If repeated paragraphs stayed, both sides of a
    cut could hold the same ones.
    """
    documents: list[str] = []
    seen: set[str] = set()
    for _, topic in sorted(_literal_dict(source, path, key).items()):
        fresh = []
        for paragraph in re.split(r"\n{2,}", topic):
            words = " ".join(paragraph.split())
            if words and words not in seen:
                seen.add(words)
                fresh.append(paragraph.strip("\n"))
        documents.append("\n\n".join(fresh))
    return documents


def _literal_dict(source: str, path: Path, key: str) -> dict[str, str]:
    fault = Fault(key, str(path), "a Python file that assigns one dictionary of strings, as pydoc_data/topics.py does")
    try:
        assigned = [node.value for node in ast.parse(source).body if isinstance(node, ast.Assign)]
        value = ast.literal_eval(assigned[0]) if len(assigned) == 1 else None
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise BadInput(fault) from error
    if not isinstance(value, dict) or not all(isinstance(entry, str) for pair in value.items() for entry in pair):
        raise BadInput(fault)
    return value


def _run(documents: Sequence[str], part: int, parts: int) -> list[str]:
    """Return part number `part` (from 1) of `parts`: consecutive documents, about equally many characters in each part.

    A document belongs to the part in which its middle lies, so every document is in exactly one part.
    """
    total = sum(map(len, documents))
    run, before = [], 0
    for document in documents:
        if len(document) and (2 * before + len(document)) * parts // (2 * total) == part - 1:
            run.append(document)
        before += len(document)
    return run
