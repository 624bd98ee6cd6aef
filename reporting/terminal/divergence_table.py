"""The tables of divergence in the terminal summary: how far each arm is from its reference on each token of a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reporting.frames import TOKEN_CLASSES

_NONE = "-"

_Found = Mapping[tuple[str, str], Mapping[str, Any]]
"""Result rows by arm and metric."""


def divergence_table(results: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Return rows of text, the header first; no rows if no arm was compared.

    Args:
        results: the result rows of one benchmark.
    """
    found, arms = _compared(results)
    header = ["", "KLD", "95% CI", "same top token", "change of p (RMS)"]
    return [header, *(_row(found, arm) for arm in arms)] if arms else []


def class_table(results: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Return the KLD by class of token, as `divergence_table` does; no rows if no class was counted."""
    found, arms = _compared(results)
    classes = [name for name in TOKEN_CLASSES if any((arm, f"kld_{name}") in found for arm in arms)]
    if not classes:
        return []
    rows = [[arm, *(_mean(found, arm, f"kld_{name}", ".4f") for name in classes)] for arm in arms]
    return [["", *(f"KLD {name}" for name in classes)], *rows]


def _compared(results: Sequence[Mapping[str, Any]]) -> tuple[_Found, list[str]]:
    """Return the rows that count tokens, and the arms among them that were compared."""
    found = {(row["arm"], row["metric"]): row for row in results if row.get("n_tokens")}
    return found, [arm for arm, metric in found if metric == "kld"]


def _row(found: _Found, arm: str) -> list[str]:
    interval = found[arm, "kld"]["ci95"]
    bounds = _NONE if interval is None else f"[{interval[0]:.4f}, {interval[1]:.4f}]"
    shares = [_mean(found, arm, metric, ".1%") for metric in ("top_agreement", "p_change_rms")]
    return [arm, _mean(found, arm, "kld", ".4f"), bounds, *shares]


def _mean(found: _Found, arm: str, metric: str, form: str) -> str:
    row = found.get((arm, metric))
    return _NONE if row is None or row["mean"] is None else format(row["mean"], form)
