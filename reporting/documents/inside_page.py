"""What lets a page hold foreign text safely: a policy that names all that may run, and JSON that ends no element."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from typing import Any

from conf.controls import escaped_json


def content_policy(style: str, scripts: Sequence[str]) -> str:
    """Return the Content-Security-Policy of a page: nothing from outside, and only this style and these scripts."""
    allowed = " ".join(map(_hash, scripts))
    return (
        f"default-src 'none'; img-src data:; font-src data:; style-src {_hash(style)}; script-src {allowed}; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def script_json(value: Any) -> str:
    """Return a value as JSON that can stand in a script element."""
    text = escaped_json(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
    # `<` stands only inside strings, and would otherwise be able to end the element.
    return text.replace("<", "\\u003c")
