"""From the blocks of a plan to the records that the statistics start from."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from actors.orchestrator.early_stop import read_early_stop
from actors.orchestrator.records import read_records
from actors.orders import Record
from actors.store import write_jsonl
from tests.orchestrator.small_plan import deterministic, make_config, make_inputs, make_small_plan, modified


def test_records_have_the_shared_source_of_their_item_even_if_their_block_failed(tmp_path: Path) -> None:
    benchmark = deterministic(4)
    items = tuple(
        dataclasses.replace(item, cluster="article 1" if n < 2 else None) for n, item in enumerate(benchmark.items)
    )
    benchmark = modified(benchmark, items=items)
    plan = make_small_plan(tmp_path, inputs=make_inputs(benchmarks={"tiny": (benchmark,)}))
    written = plan.blocks[0]
    path = Path(written.records_path)
    path.parent.mkdir(parents=True)
    write_jsonl(path, [Record(item.item_id, 0, item.prompt_hash, None, "correct", score=1.0) for item in items])
    records = read_records(plan, make_config(), read_early_stop(plan, make_config(), ())).records
    clusters = ["article 1", "article 1", None, None]
    for arm, outcome in ((written.arm, "correct"), (plan.blocks[-1].arm, "unscored")):
        own = records.filter(records["arm"] == arm).sort("item_id")
        assert own["cluster"].to_list() == clusters
        assert own["outcome"].to_list() == [outcome] * 4
