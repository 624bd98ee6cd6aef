"""How much disk space a plan needs: for its GGUFs, and for what models and judges write."""

from __future__ import annotations

from collections import namedtuple
from pathlib import Path

import pytest

from actors.orchestrator.room import DISK_SLACK_BYTES, answer_bytes, check_disk, disk_bytes
from conf.faults import BadInput
from tests.orchestrator.judged_plan import endpoint_judge, judged_plan
from tests.orchestrator.small_plan import make_config, make_small_plan

Usage = namedtuple("Usage", "total used free")


def test_answers_are_counted_by_half_of_their_token_limits(tmp_path: Path) -> None:
    plan = make_small_plan(tmp_path)
    # 40 items under 3 seeds, at most 16 tokens each. Nothing is written where a model chooses.
    of_each_arm = 40 * 3 * 16 // 2 * 30
    assert answer_bytes(plan) == of_each_arm * len({block.arm for block in plan.blocks if block.benchmark == "asked"})
    assert answer_bytes(plan, done={block.unit for block in plan.blocks}) == 0


def test_what_judges_write_is_counted_too(tmp_path: Path) -> None:
    plan, _ = judged_plan(tmp_path, [endpoint_judge("mild"), endpoint_judge("strict")])
    alone, _ = judged_plan(tmp_path, [])
    assert answer_bytes(plan) - answer_bytes(alone) == 30 * sum(one.generated for one in plan.judgings) > 0


def test_a_disk_without_room_for_the_answers_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, config = make_small_plan(tmp_path), make_config(storage=tmp_path)
    ggufs = sum(arm.predicted_bytes for arm in plan.arms if arm.order)
    needed = ggufs + answer_bytes(plan) + DISK_SLACK_BYTES
    for free in (needed, needed - 1):
        monkeypatch.setattr("shutil.disk_usage", lambda path, free=free: Usage(free, 0, free))
        assert disk_bytes(config, plan, ()) == (needed, free)
        if free == needed:
            check_disk(config, plan, ())
        else:
            with pytest.raises(BadInput, match="for the plan's GGUFs, records and reports"):
                check_disk(config, plan, ())
