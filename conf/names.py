"""Names of models and arms: letters of every script stay, because file systems and MLflow can hold them.

Names are NFC, so that one name has one spelling. What a name cannot hold is spelled with its number, so that two names
stay two.
"""

from __future__ import annotations

import re
import unicodedata

ASCII_LETTERS = "A-Za-z0-9_.+~-"
"""What names may hold of ASCII."""
_OTHER_ASCII = re.compile(rf"(?![{ASCII_LETTERS}])[\x00-\x7f]")


def _is_foreign(letter: str) -> bool:
    """Return whether a character is beyond ASCII and no letter, mark or digit: a space, a bracket, a control."""
    return letter > "\x7f" and unicodedata.category(letter)[0] not in "LMN"


def composed(name: str) -> str:
    """Return a name in NFC. Raise `ValueError` if it holds what names cannot hold."""
    name = unicodedata.normalize("NFC", name)
    wrong = [letter for letter in name if _is_foreign(letter) or _OTHER_ASCII.match(letter)]
    if wrong:
        raise ValueError(f"a name of letters, digits and _ . + ~ - (not {wrong[0]!r})")
    return name


def spelled_name(text: str) -> str:
    """Return a text as a name: `-` for other ASCII, `-uff08-` for other characters such as U+FF08."""
    text = _OTHER_ASCII.sub("-", unicodedata.normalize("NFC", text))
    return "".join(f"-u{ord(letter):x}-" if _is_foreign(letter) else letter for letter in text)


def ascii_name(name: str) -> str:
    """Return a name in ASCII (as punycode), for ids that must be; one that is in ASCII already stays as it is."""
    return name if name.isascii() else name.encode("punycode").decode("ascii")
