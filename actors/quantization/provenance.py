"""Where an arm's importance matrix comes from: its texts, for the arm's own manifest.

A GGUF is handed on without the matrix it was made with; so its manifest names the texts itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from actors.orders import ChunkRules
from actors.quantization.calibration import TextUse
from actors.quantization.imatrix import load_manifest
from actors.quantization.weighting import TokenWeighting, weighting_of
from actors.store import ImatrixFiles, exists


@dataclass(frozen=True)
class CalibrationUse:
    """What an importance matrix was collected from, as the manifest beside it says."""

    mix: str
    n_tokens: int
    ctx: int
    rules: ChunkRules
    texts: tuple[TextUse, ...]
    """Each with its hash and how much of it was taken, in chunks of `ctx` tokens."""
    token_weighting: TokenWeighting | None
    """None where every token counted alike."""


def calibration_use(imatrix_path: str, sha256: str) -> CalibrationUse | None:
    """From the manifest beside a matrix; None where there is none, or another file's."""
    path = ImatrixFiles(imatrix_path).manifest
    if not exists(path):
        return None
    made = load_manifest(path)
    if made.sha256 != sha256:
        return None
    return CalibrationUse(made.mix, made.n_tokens, made.ctx, made.rules, made.texts, made.token_weighting)


def calibration_from(row: Mapping[str, Any]) -> CalibrationUse:
    """Read back from an arm's manifest."""
    texts = tuple(TextUse(**text) for text in row["texts"])
    weighting = None if row["token_weighting"] is None else weighting_of(row["token_weighting"])
    rules = ChunkRules(**row["rules"])
    return CalibrationUse(row["mix"], row["n_tokens"], row["ctx"], rules, texts, weighting)
