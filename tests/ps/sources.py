"""Read the PowerShell sources as syntax trees: functions, their parameters, the commands they call, their variables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import tree_sitter_powershell
from tree_sitter import Language, Node, Parser

PS = Path(__file__).resolve().parents[2] / "ps"
MODULE = PS / "QuantAssay"
SOURCES = sorted(path for path in PS.rglob("*") if path.suffix in (".ps1", ".psm1", ".psd1"))
PUBLIC = sorted((MODULE / "Public").glob("*.ps1"))
PRIVATE = sorted((MODULE / "Private").glob("*.ps1"))
SCRIPTS = [*sorted(PS.glob("*.ps1")), PS / "tests" / "Invoke-Tests.ps1"]

_PARSER = Parser(Language(tree_sitter_powershell.language()))


@cache
def tree(path: Path) -> Node:
    """Return the syntax tree of a file."""
    return _PARSER.parse(path.read_bytes()).root_node


def text(node: Node) -> str:
    """Return the source of a node."""
    return (node.text or b"").decode()


def inside(node: Node, *kinds: str) -> Iterator[Node]:
    """Yield all nodes of these kinds in a tree; of all kinds if none is given."""
    if not kinds or node.type in kinds:
        yield node
    for child in node.children:
        yield from inside(child, *kinds)


@dataclass(frozen=True)
class Function:
    """A function of the module or of a script."""

    name: str
    node: Node
    parameters: tuple[str, ...]


def functions(path: Path) -> list[Function]:
    """Return the functions of a file."""
    return [
        Function(text(_child(node, "function_name")), node, _parameters(node))
        for node in inside(tree(path), "function_statement")
    ]


def _child(node: Node, kind: str) -> Node:
    return next(child for child in node.children if child.type == kind)


def _parameters(function: Node) -> tuple[str, ...]:
    """Return the names of a function's parameters; not those of script blocks in it."""
    block = next(inside(function, "param_block"), None)
    return () if block is None else tuple(_declared(one) for one in inside(block, "script_parameter"))


def _declared(parameter: Node) -> str:
    """Return the name that a parameter declares."""
    return text(next(child for child in parameter.children if child.type == "variable")).removeprefix("$")


@dataclass(frozen=True)
class Command:
    """A call of a command: its named parameters, and how many words stand without a name."""

    name: str
    named: tuple[str, ...]
    words: tuple[str, ...]
    is_splatted: bool
    line: int


def commands(node: Node) -> Iterator[Command]:
    """Yield the commands that are called in a tree."""
    for call in inside(node, "command"):
        named_by = [child for child in call.children if child.type in ("command_name", "command_name_expr")]
        elements = [child for part in call.children if part.type == "command_elements" for child in part.children]
        given = [one for one in elements if one.type != "command_argument_sep"]
        named, words, splatted = [], [], False
        for one in given:
            if one.type == "command_parameter":
                named.append(text(one))
            elif text(one).startswith("@") and re.fullmatch(r"@\w+", text(one)):
                splatted = True
            else:
                words.append(text(one))
        yield Command(
            text(named_by[0]) if named_by else "", tuple(named), tuple(words), splatted, call.start_point[0] + 1
        )


def strings(node: Node) -> Iterator[str]:
    """Yield the string literals of a tree without their quotation marks."""
    for one in inside(node, "string_literal"):
        yield text(one)[1:-1]


def code(path: Path) -> str:
    """Return a source with comments and texts blanked."""
    source = bytearray(path.read_bytes())
    for node in inside(tree(path), "comment", "verbatim_string_characters"):
        source[node.start_byte : node.end_byte] = b" " * (node.end_byte - node.start_byte)
    return source.decode()
