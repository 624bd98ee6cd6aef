"""Characters that control a terminal or cannot be seen: escapes, C1 codes, bidirectional overrides, surrogates."""

from __future__ import annotations

import json
import re

CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028\u2029\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)
"""One such character, apart from tab and line feed."""


def escaped_json(text: str) -> str:
    """Return a JSON text without a control or invisible character. It is read back unchanged."""
    return CONTROLS.sub(lambda found: json.dumps(found[0])[1:-1], text)
