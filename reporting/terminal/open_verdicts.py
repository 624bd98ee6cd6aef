"""Why a verdict is undecided, in the words of the terminal summary. `reporting.deciding` says what would decide it."""

from __future__ import annotations

NAMED = ("loss_shown", "unscored", "floor", "ceiling", "spans_share")
"""The grounds that the summary names. The others follow from the interval that it shows."""
OPEN = {
    "loss_shown": "a loss is shown, whether it exceeds the margin is open",
    "unscored": "not shown to be no worse if unscored records count against it",
    "floor": "the reference gets too little right to measure a loss",
    "ceiling": "too easy to measure a loss: the reference gets less wrong than the margin",
    "spans_share": "more may be lost than the allowed share of what the reference gets right",
    "spans_margin": "more may be lost than the margin",
    "no_interval": "no interval",
    "no_margin": "no margin is set",
    "not_judged": "not judged",
}
"""Ground of an undecided verdict -> its words."""
