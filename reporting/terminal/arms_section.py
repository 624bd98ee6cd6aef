"""The arms in the terminal summary: size, bits per weight and speed, model by model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reporting.terminal.layout import clean, columns, short_name, wrapped

_NONE = "-"
_NO_SPEED = {"machine_busy": "the machine was busy", "machine_not_watched": "the machine's load is unknown"}


def arms_section(comparison: Mapping[str, Any]) -> str:
    """Return a table of the arms of each model, and what has to be known about some of them."""
    lines: list[str] = []
    given_as = {model["name"]: model["dequantized_from"] for model in comparison["models"]}
    for model in dict.fromkeys(arm["model"] for arm in comparison["arms"]):
        lines += _model_lines(comparison, model, given_as.get(model))
    lines += [_budget_line(arm) for arm in comparison["arms"] if arm.get("budget")]
    lines += [
        wrapped(f"failed: {short_name(arm['name'])}: {clean(str(arm['failed']))[:200]}")
        for arm in comparison["arms"]
        if arm["failed"]
    ]
    return "\n".join(lines)


def _model_lines(comparison: Mapping[str, Any], model: str, given_as: str | None) -> list[str]:
    arms = [arm for arm in comparison["arms"] if arm["model"] == model]
    names = {arm["name"] for arm in arms}
    references = [name for name in dict.fromkeys(arm["reference"] for arm in arms) if name in names]
    known = f" (reference: {', '.join(map(short_name, references))})" if references else ""
    lines = [wrapped(f"{short_name(model)}{known}")]
    speeds = {row["arm"]: row for row in comparison["performance"] if row["arm"] in names}
    rates = {arm: row["decode_tokens_per_second"] for arm, row in speeds.items()}
    rows = [["arm", "MiB", "bits/weight", "tokens/s"]]
    for arm in arms:
        size, bits, rate = arm["size_bytes"], arm["bits_per_weight"], rates.get(arm["name"])
        rows.append(
            [
                short_name(arm["name"]),
                _NONE if size is None else f"{size / 2**20:,.1f}",
                _NONE if bits is None else f"{bits:.2f}",
                _NONE if rate is None else f"{rate:,.0f}",
            ]
        )
    lines += columns(rows, left=(0,))
    for reason, why in _NO_SPEED.items():
        withheld = [arm for arm, row in speeds.items() if row["decode_tokens_per_second_reason"] == reason]
        if withheld:
            lines.append(wrapped(f"tokens/s not measured: {why} ({', '.join(map(short_name, withheld))})"))
    if given_as:
        text = f"The model was given as {short_name(given_as)}, so all arms made here come from dequantized weights."
        lines.append(wrapped(text))
    return lines


def _budget_line(arm: Mapping[str, Any]) -> str:
    budget = arm["budget"]
    text = (
        f"{short_name(arm['name'])}: {budget['added_bpw']:+.3f} bits/weight over plain {short_name(str(arm['method']))}"
    )
    if budget["predicted_error"] is not None:
        text += f", predicted error {budget['predicted_error']:.3g} (plain: {budget['predicted_error_base']:.3g})"
    if budget["control"]:
        text += "; a control: bits spent without measuring"
    return wrapped(text)
