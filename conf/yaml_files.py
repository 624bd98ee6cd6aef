"""Read a YAML file that a user wrote, or that somebody else wrote for the user.

YAML can do more than a configuration needs, and some of it does harm. Here a file holds mappings, lists, texts,
numbers, booleans and nothing else. What is refused, each with its line: a key that is given twice; aliases that
multiply (each counts as all values that it stands for) or contain themselves; deep nesting; tags; numbers that no
setting can have. A date stays a text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from conf.faults import BadInput, Fault
from conf.user_files import SMALL_FILE_BYTES, read_user_text

MOST_VALUES = 50_000
"""Most keys and values of a file."""
MOST_LEVELS = 30
"""Deepest nesting."""
_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("map", "seq", "str", "int", "float", "bool", "null", "merge")}


def read_yaml(path: Path, *, key: str) -> dict[str, Any]:
    """Return the mapping in a YAML file, empty for an empty file. Raises `BadInput`, naming `key`."""
    text = read_user_text(path, key=key, what="YAML file", limit_bytes=SMALL_FILE_BYTES)
    try:
        _check_size(text)
        values = yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or ""
        raise BadInput(Fault(key, f"{path}{line}", "valid YAML", _sentence(str(problem)))) from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise BadInput(Fault(key, f"{path} ({type(values).__name__})", "a mapping of keys to values"))
    return values


def _sentence(problem: str) -> str:
    return problem[:1].upper() + problem[1:] + ("" if problem.endswith(".") else ".") if problem else ""


def _check_size(text: str) -> None:
    """Raise `yaml.YAMLError` for more values than `MOST_VALUES` after all aliases, or more levels than `MOST_LEVELS`.

    Only the parser's events are looked at, so nothing is built yet.
    """
    sizes: dict[str, int] = {}
    open_nodes: list[tuple[str | None, int]] = []  # anchor, and number of values before it
    count = 0
    for event in yaml.parse(text, yaml.CSafeLoader):
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                raise _problem(
                    f"the alias *{event.anchor} stands for something that contains it, or for nothing", event
                )
            count += sizes[event.anchor]
        elif isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append((event.anchor, count))
            count += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_nodes.pop()
            if anchor is not None:
                sizes[anchor] = count - before
        elif isinstance(event, yaml.ScalarEvent):
            count += 1
            if event.anchor is not None:
                sizes[event.anchor] = 1
            if "\0" in event.value:
                raise _problem("there is a NUL character", event)
        if count > MOST_VALUES:
            raise _problem(
                f"there are more than {MOST_VALUES:,} values; an alias counts as all that it stands for", event
            )
        if len(open_nodes) > MOST_LEVELS:
            raise _problem(f"there are more than {MOST_LEVELS} levels", event)


def _problem(problem: str, place: yaml.Event | yaml.Node) -> yaml.YAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=place.start_mark)  # type: ignore[arg-type]  # C marks do, too


_NUMBERS = {"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"}
_OTHER_NUMBER = re.compile(r"[-+]?0[\d_xbo]|.*:")
"""Numbers that YAML 1.1 reads as few people expect: 010 is 8, and 1:30 is 90."""


class _Loader(yaml.CSafeLoader):
    """PyYAML's loader of plain values, made stricter."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Return the value of a node. Raise `yaml.YAMLError` with its line if it has none that a setting can have."""
        if node.tag not in _TAGS:
            raise _problem(f"the tag {node.tag} is not known here", node)
        try:
            value = super().construct_object(node, deep)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise _problem(f"this is no value of the type that it should have ({str(error)[:100]})", node) from None
        if node.tag in _NUMBERS and _OTHER_NUMBER.match(str(node.value)):
            raise _problem(f"write {str(node.value)[:40]!r} in decimal digits, or quote it as a text", node)
        if isinstance(value, int) and abs(value) >= 2**63:
            raise _problem("the number does not fit into 64 bits", node)
        return value

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Return a mapping. Raise `yaml.YAMLError` for a key that is given twice."""
        first_lines: dict[tuple[str, str], int] = {}
        for name, _ in node.value:
            if not isinstance(name, yaml.ScalarNode):
                raise _problem("a key is a single word or number", name)
            line, given = name.start_mark.line + 1, (name.tag, name.value)
            if given in first_lines:
                both = f"in line {first_lines[given]} and in line {line}"
                raise _problem(f"the key {name.value[:80]!r} is given twice, {both}", name)
            first_lines[given] = line
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag in _TAGS]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def check_plain(value: Any, name: str) -> None:
    """Raise `ValueError` unless a value has a stable JSON form: texts as keys, and finite numbers."""
    if isinstance(value, dict):
        for key, below in value.items():
            if not isinstance(key, str):
                raise ValueError(f"texts as keys, not {key!r} (in {name})")
            check_plain(below, f"{name}.{key}")
    elif isinstance(value, list):
        for below in value:
            check_plain(below, name)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"finite numbers (in {name})")
