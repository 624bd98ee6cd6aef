"""Arms that did not think as the configuration told them to: a server may ignore what it is asked for.

Such an arm is compared under a wrong name, so results and documents say it.
"""

from __future__ import annotations

import polars as pl

from actors.orchestrator.plan import Plan, PlannedArm
from reporting.notices import Notice
from reporting.thoughts import THINKING


def ignored_thinking(plan: Plan, records: pl.DataFrame) -> list[Notice]:
    """Return a notice for each arm that thought although it was told not to, or the other way round.

    Args:
        plan: the plan, which says what the arms were told.
        records: one row per planned record (`reporting.frames.RECORD_SCHEMA`).
    """
    return [notice for arm in plan.arms if (notice := _notice(plan, arm, records)) is not None]


def _notice(plan: Plan, arm: PlannedArm, records: pl.DataFrame) -> Notice | None:
    told = arm.template_use.thinking if arm.template_use is not None else "template"
    if told == "template":
        return None
    chats = [
        one.name for one in plan.benchmarks[arm.model] if any(getattr(item.task, "chat", False) for item in one.items)
    ]
    is_own = (pl.col("arm").cast(pl.String) == arm.name) & pl.col("benchmark").cast(pl.String).is_in(chats)
    own = records.filter(is_own & pl.col("text").is_not_null())
    n_answers, n_thinking = own.height, own.filter(THINKING).height
    is_endpoint = arm.endpoint is not None
    if told == "off" and n_thinking:
        why = Notice("server_may_ignore" if is_endpoint else "model_may_not_follow")
        return Notice("thought_though_off", arm=arm.name, n=n_thinking, n_answers=n_answers, why=why)
    if told == "on" and n_answers and not n_thinking:
        why = Notice("server_may_hide" if is_endpoint else "model_may_not_follow")
        return Notice("thought_not_though_on", arm=arm.name, n_answers=n_answers, why=why)
    return None
