"""What a plan says about judged benchmarks: no claim from right and wrong, no early end, seeds by temperature."""

from __future__ import annotations

import json
from pathlib import Path

from actors.evaluation.benchmarks import load
from actors.evaluation.kv_cache import Cache
from actors.llama.model import Model
from actors.orchestrator.may_end_early import can_end_early
from actors.orchestrator.planning.blocks import _cost, _most_generated
from actors.orchestrator.questions import expected_of, question_of
from actors.orchestrator.sources.inputs import PlannedBenchmark
from conf.schema.answers import Sampling
from conf.schema.verdicts import Statistics
from conf.tiers import resolve_tiers
from tests.evaluation.test_judged_benchmarks import QUESTIONS, written


def talks(tmp_path: Path, tiny: Model) -> PlannedBenchmark:
    folder = written(tmp_path, "mt_bench/question.jsonl", QUESTIONS)
    data = load("mt_bench", data_dir=folder, sampling=Sampling(max_tokens=64), vocabulary=tiny)
    return PlannedBenchmark(data, sampled=True, cache=Cache(1, 256, unified=True), share_prefixes=True)


def test_a_judged_benchmark_never_ends_early_and_is_not_pooled(tmp_path: Path, tiny: Model) -> None:
    planned = talks(tmp_path, tiny)
    assert not can_end_early(planned)
    described = [
        {"name": name, "kind": "generate", "metric": metric, "higher_is_better": True}
        for name, metric in (("gsm8k", "accuracy"), ("math", "accuracy"), ("mt_bench", planned.spec.metric))
    ]
    tiers = resolve_tiers(Statistics(), described)
    assert set(tiers.pooled) == {"gsm8k", "math"} and "mt_bench" in tiers.each


def test_costs_count_every_turn_and_an_answer_at_temperature_0_once(tmp_path: Path, tiny: Model) -> None:
    planned = talks(tmp_path, tiny)
    items = {item.item_id: item for item in planned.items}
    # Two turns of 64 tokens: once for the question at temperature 0, once per seed for the others.
    assert [_most_generated([items[name]], (1, 2, 3), None) for name in ("1", "2")] == [128, 384]
    assert _cost(planned, [items["2"]], (1, 2, 3), 1, None) > _cost(planned, [items["1"]], (1, 2, 3), 1, None)


def test_questions_show_all_turns_and_expected_answers_are_the_references(tmp_path: Path, tiny: Model) -> None:
    items = {item.item_id: item for item in talks(tmp_path, tiny).items}
    assert question_of(items["1"], 0) == "1. 1+1?\n\n2. And 2+2?" and expected_of(items["1"]) == "2"
    assert expected_of(items["2"]) == ""
    assert json.dumps(items["1"].target)  # as records and questions keep it
