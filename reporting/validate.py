"""Check result files against their published schemas.

Programs outside the project rely on the schemas in `reporting/schemas/`. Each file is checked when it is written and
when it is read. The caller decides whether a bad file is a bug or a user's mistake.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

Kind = Literal["quantization_comparison", "statistical_analysis", "record", "progress", "result"]

SCHEMAS = Path(__file__).parent / "schemas"
_MOST_FAULTS = 10
_LONGEST_MESSAGE = 200
"""In characters. Otherwise a fault in an object would print the whole object."""


class InvalidDocument(ValueError):
    """A value does not match its schema. `faults` gives the path of each fault, at most ten."""

    def __init__(self, kind: str, faults: tuple[str, ...]) -> None:
        self.kind = kind
        self.faults = faults
        super().__init__(f"not a valid {kind}:\n  " + "\n  ".join(faults))

    def __reduce__(self) -> tuple[type[InvalidDocument], tuple[str, tuple[str, ...]]]:
        return (InvalidDocument, (self.kind, self.faults))


def validate(kind: Kind, value: Any) -> None:
    """Check a value against the schema of its kind.

    Args:
        kind: name of the schema.
        value: a value as `json.loads` returns it: dicts, lists (no tuples), strings, numbers, booleans, None.

    Raises:
        InvalidDocument: the value does not match. NaN and infinities are faults too, because JSON has no such numbers.
    """
    faults = [f"{path}: {number} is not a JSON number" for path, number in _not_finite(value, "$")]
    errors = sorted(_validator(kind).iter_errors(value), key=lambda error: list(map(str, error.absolute_path)))
    faults += [f"{error.json_path}: {_message(error)}" for error in errors]
    if faults:
        raise InvalidDocument(kind, tuple(faults[:_MOST_FAULTS]))


def fits_entry(kind: Kind, name: str, values: Mapping[str, Any]) -> bool:
    """Return whether values can be fields of an entry of the list `name` in a file of this kind."""
    return all(_field_validator(kind, name, field).is_valid(value) for field, value in values.items())


@cache
def _field_validator(kind: Kind, name: str, field: str) -> Draft202012Validator:
    schema = _schema(kind)
    found = schema["properties"][name]["items"]["properties"].get(field, True)
    return Draft202012Validator({"$defs": schema.get("$defs", {}), "allOf": [found]})


@cache
def _validator(kind: Kind) -> Draft202012Validator:
    return Draft202012Validator(_schema(kind))


def _schema(kind: Kind) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((SCHEMAS / f"{kind}.schema.json").read_text(encoding="utf-8"))
    return schema


def _message(error: ValidationError) -> str:
    text = error.message
    return text if len(text) <= _LONGEST_MESSAGE else f"…{text[-_LONGEST_MESSAGE:]}"


def _not_finite(value: Any, path: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, float) and not math.isfinite(value):
        yield path, value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _not_finite(part, f"{path}.{key}")
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _not_finite(part, f"{path}[{index}]")
