"""The table of divergence in the terminal summary: how far each arm is from its reference on each token of a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reporting.frames import TOKEN_CLASSES

_NONE = "-"


def divergence_table(results: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Return rows of text, the header first; no rows if no arm was compared.

    Args:
        results: the result rows of one benchmark.
    """
    found = {(row["arm"], row["metric"]): row for row in results if row.get("n_tokens")}
    arms = [arm for arm, metric in found if metric == "kld"]
    if not arms:
        return []
    classes = [name for name in TOKEN_CLASSES if any((arm, f"kld_{name}") in found for arm in arms)]
    header = ["", "KLD", "95% CI", "same top token", "change of p (RMS)", *(f"KLD {name}" for name in classes)]
    return [header, *(_row(found, arm, classes) for arm in arms)]


def _row(found: Mapping[tuple[str, str], Mapping[str, Any]], arm: str, classes: Sequence[str]) -> list[str]:
    def mean(metric: str, form: str) -> str:
        row = found.get((arm, metric))
        return _NONE if row is None or row["mean"] is None else format(row["mean"], form)

    interval = found[arm, "kld"]["ci95"]
    bounds = _NONE if interval is None else f"[{interval[0]:.4f}, {interval[1]:.4f}]"
    parts = [mean(f"kld_{name}", ".4f") for name in classes]
    return [arm, mean("kld", ".4f"), bounds, mean("top_agreement", ".1%"), mean("p_change_rms", ".1%"), *parts]
