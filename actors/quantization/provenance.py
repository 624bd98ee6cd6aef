"""Calibration texts behind an arm's importance matrix, for the arm's own manifest.

A GGUF is passed on without its importance matrix, so its manifest names the texts itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from actors.quantization.calibration import TextUse
from actors.quantization.imatrix import load_manifest
from actors.quantization.weighting import TokenWeighting, weighting_from_json
from actors.quantization_orders import ChunkRules
from actors.stored_files import ImatrixFiles


@dataclass(frozen=True)
class CalibrationUse:
    """What an importance matrix was collected from, according to its manifest."""

    mix: str
    n_tokens: int
    ctx: int
    rules: ChunkRules
    texts: tuple[TextUse, ...]
    """Each with its hash, and how much of it was used, in chunks of `ctx` tokens."""
    token_weighting: TokenWeighting | None
    """None if all tokens counted the same."""


def calibration_use(imatrix_path: str, sha256: str) -> CalibrationUse | None:
    """Read the manifest beside a matrix. Return None if it is missing or belongs to a different file."""
    files = ImatrixFiles(imatrix_path)
    if not files.are_complete():
        return None
    try:
        made = load_manifest(files.manifest)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):  # it is damaged
        return None
    if made.sha256 != sha256:
        return None
    return CalibrationUse(made.mix, made.n_tokens, made.ctx, made.rules, made.texts, made.token_weighting)


def calibration_use_from_json(row: Mapping[str, Any]) -> CalibrationUse:
    """Read the calibration entry of an arm's manifest."""
    texts = tuple(TextUse(**text) for text in row["texts"])
    weighting = None if row["token_weighting"] is None else weighting_from_json(row["token_weighting"])
    rules = ChunkRules(**row["rules"])
    return CalibrationUse(row["mix"], row["n_tokens"], row["ctx"], rules, texts, weighting)
