"""Changes a text file as an accident or an enemy would, by a seed, for tests of everything that reads users' files."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

LIMIT_S = 5.0

VALUES = (
    "null",
    "true",
    "-1",
    "0",
    "1e308",
    "-1e400",
    ".nan",
    ".inf",
    "NaN",
    "Infinity",
    "9" * 400,
    "9" * 6000,
    "1e999999999",
    "[]",
    "{}",
    "[[], {}]",
    "''",
    '"\\0"',
    '"\\ud83d"',
    '"\\u0000"',
    "2024-13-45",
    "0b_",
    "1:99:1",
    "!!binary xx",
    "!!python/object/apply:os.getcwd []",
    "!!set {a}",
    "!!int x",
    "*nothing",
    "&a [*a]",
    "x" * 70_000,
    "[" * 3000,
    "{a: " * 3000,
    '{"a": ' * 3000,
    "/dev/zero",
    "/dev/stdin",
    "../..",
    "~/x",
    "{{ range(10 ** 9) | list }}",
    "'{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}'",
    "'{{ \"a\" * 10 ** 10 }}'",
    "'{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}'",
    "'(a+)+$'",
    "'('",
    "'a{99999999999}'",
    "\x1b]0;title\x07",
    "日本語",
    "\u202e",
)
LINES = (
    "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a]\nc: [*b, *b, *b, *b, *b, *b, *b, *b]",
    "<<: [1]",
    "? [a, b]\n: c",
    "1: x",
    "~: x",
    "---",
    "...",
    "%YAML 9.9",
    "\tx: y",
    "{",
    '{"id": 1}',
    '{"id": "1", "id": 2}',
    "[1, 2]",
    "\r",
    "\ufeff",
)


def changed(content: bytes, chance: random.Random) -> bytes:
    """Return a file's content with one to three changes."""
    for _ in range(chance.randint(1, 3)):
        content = chance.choice(_CHANGES)(content, chance)
    return content


def _flip(content: bytes, chance: random.Random) -> bytes:
    made = bytearray(content or b"x")
    for _ in range(chance.randint(1, 8)):
        made[chance.randrange(len(made))] = chance.randrange(256)
    return bytes(made)


def _cut(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content) + 1)]


def _line(content: bytes, chance: random.Random) -> bytes:
    lines = content.split(b"\n")
    lines.insert(chance.randrange(len(lines) + 1), chance.choice(LINES).encode())
    return b"\n".join(lines)


def _again(content: bytes, chance: random.Random) -> bytes:
    lines = content.split(b"\n")
    lines.insert(chance.randrange(len(lines) + 1), chance.choice(lines))
    return b"\n".join(lines)


def _value(content: bytes, chance: random.Random) -> bytes:
    lines = content.split(b"\n")
    place = chance.randrange(len(lines))
    name, mark, _ = lines[place].partition(b":")
    if mark:
        lines[place] = name + b": " + chance.choice(VALUES).encode()
    return b"\n".join(lines)


def _json_value(content: bytes, chance: random.Random) -> bytes:
    parts = content.split(b", ")
    place = chance.randrange(len(parts))
    name, mark, _ = parts[place].partition(b": ")
    if mark:
        parts[place] = name + b": " + chance.choice(VALUES).encode()
    return b", ".join(parts)


def _encoding(content: bytes, chance: random.Random) -> bytes:
    return content.decode("utf-8", "replace").encode(
        chance.choice(("utf-16", "utf-8-sig", "cp932", "latin-1")), "replace"
    )


def _many(content: bytes, chance: random.Random) -> bytes:
    lines = content.split(b"\n")
    return b"\n".join([*lines, *[chance.choice(lines)] * chance.choice((10, 1000, 100_000))])


_CHANGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _flip,
    _cut,
    _line,
    _again,
    _value,
    _value,
    _value,
    _json_value,
    _json_value,
    _encoding,
    _many,
)


def put(path: Path, content: bytes, chance: random.Random) -> None:
    """Write a changed file; now and then something that is no file."""
    if chance.random() > 0.06:
        path.write_bytes(changed(content, chance))
        return
    kind = chance.choice(("folder", "pipe", "device", "loop", "missing", "kernel"))
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "loop":
        path.symlink_to(path)
    elif kind != "missing":
        path.symlink_to({"device": "/dev/zero", "kernel": "/proc/self/mem"}[kind])


@contextmanager
def within_seconds(limit_s: float = LIMIT_S) -> Iterator[None]:
    """Fail if the block takes longer."""

    def over(_number: int, _frame: FrameType | None) -> NoReturn:
        raise AssertionError(f"this took longer than {limit_s:g} s of processor time")

    before = signal.signal(signal.SIGPROF, over)
    signal.setitimer(signal.ITIMER_PROF, limit_s)  # processor time: other work on the machine changes nothing
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
