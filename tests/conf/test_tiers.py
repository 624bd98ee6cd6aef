"""Tiers: their defaults, what the configuration can say, and every fault with its key and next step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from conf.faults import BadInput
from conf.load import load
from conf.schema.verdicts import Statistics
from conf.tiers import TiersOfRun, resolve_tiers

MODEL = {"models": [{"name": "m", "path": "/m.gguf"}]}


def _benchmark(name: str, metric: str = "accuracy", kind: str = "generate", **changed: Any) -> dict[str, Any]:
    return {"name": name, "metric": metric, "kind": kind, "higher_is_better": metric != "nll", **changed}


TEXTS = (_benchmark("perplexity_wikitext2", "nll", "measure"), _benchmark("perplexity_ja_wiki", "nll", "measure"))
RUN = (_benchmark("gsm8k"), _benchmark("math"), _benchmark("arc_challenge", kind="choose"), *TEXTS)
NAMES = tuple(one["name"] for one in RUN)


def _tiers(tiers: dict[str, Any], benchmarks: tuple[dict[str, Any], ...] = RUN, **settings: Any) -> TiersOfRun:
    return resolve_tiers(Statistics.model_validate({"tiers": tiers, **settings}), benchmarks)


def _faults(tiers: dict[str, Any], **given: Any) -> dict[str, str]:
    with pytest.raises(BadInput) as caught:
        _tiers(tiers, **given)
    return {fault.key.removeprefix("statistics.tiers."): str(fault) for fault in caught.value.faults}


def test_by_default_every_benchmark_must_hold_and_right_or_wrong_answers_are_pooled_equally() -> None:
    found = _tiers({})
    assert found.each == NAMES
    assert found.pooled == pytest.approx({"gsm8k": 1 / 3, "math": 1 / 3, "arc_challenge": 1 / 3})
    assert (found.inform, found.pooled_only) == ((), ())


def test_one_benchmark_alone_is_not_pooled() -> None:
    assert _tiers({}, (RUN[0], *TEXTS)).pooled == {}


def test_a_function_is_pooled_only_if_it_is_named() -> None:
    function = _benchmark("mine", kind="function")
    assert "mine" not in _tiers({}, (*RUN, function)).pooled
    assert "mine" in _tiers({"pooled": ["gsm8k", "mine"]}, (*RUN, function)).pooled


def test_what_need_not_hold_by_itself_decides_through_the_mean() -> None:
    found = _tiers({"each": ["perplexity"]})
    assert found.each == ("perplexity_wikitext2", "perplexity_ja_wiki")
    assert found.pooled_only == ("gsm8k", "math", "arc_challenge")


def test_what_only_informs_is_neither_pooled_nor_must_it_hold() -> None:
    found = _tiers({"inform": ["math", "perplexity_ja_wiki"]})
    assert found.each == ("gsm8k", "arc_challenge", "perplexity_wikitext2")
    assert set(found.pooled) == {"gsm8k", "arc_challenge"}
    assert found.inform == ("math", "perplexity_ja_wiki")


def test_weights_are_scaled_to_a_sum_of_1_and_an_empty_pool_makes_no_claim() -> None:
    assert _tiers({"pooled": {"gsm8k": 3, "math": 1}}).pooled == {"gsm8k": 0.75, "math": 0.25}
    assert _tiers({"pooled": "gsm8k, math"}).pooled == {"gsm8k": 0.5, "math": 0.5}
    assert _tiers({"pooled": []}).pooled == {}


def test_an_unknown_benchmark_is_named_with_similar_ones() -> None:
    found = _faults({"each": ["gms8k"], "pooled": ["gsm8k", "maths"]})
    assert "got 'gms8k'; allowed: benchmarks of this run (gsm8k, math, " in found["each"]
    assert "Did you mean 'gsm8k'" in found["each"]
    assert "Did you mean 'math'" in found["pooled"]


def test_a_benchmark_cannot_inform_and_decide() -> None:
    found = _faults({"pooled": ["gsm8k", "math"], "inform": ["math"]})
    assert "got 'math'" in found["pooled"]
    assert "Take it out of `inform` or out of `pooled`" in found["pooled"]
    assert "got 'gsm8k'" in _faults({"each": ["gsm8k"], "inform": ["gsm8k"]})["each"]


def test_only_right_or_wrong_answers_have_a_common_mean() -> None:
    found = _faults({"pooled": ["gsm8k", "perplexity"]})["pooled"]
    assert "(metric nll, lower is better)" in found
    assert "the metric accuracy" in found


def test_a_pool_has_two_benchmarks() -> None:
    assert "at least two benchmarks" in _faults({"pooled": ["gsm8k"]})["pooled"]


def test_a_pool_that_is_asked_for_excludes_early_stop() -> None:
    assert "--early-stop" in _faults({"pooled": ["gsm8k", "math"]}, early_stop=True)["pooled"]
    assert "--early-stop" in _faults({"each": ["perplexity"]}, early_stop=True)["pooled"]
    assert _tiers({}, early_stop=True).pooled == {}


def test_every_benchmark_is_in_a_tier() -> None:
    found = _faults({"each": ["gsm8k"], "pooled": ["gsm8k", "math"]})
    assert "every benchmark in a tier" in found["each"]


def test_something_must_decide() -> None:
    assert "a verdict needs one" in _faults({"inform": list(NAMES)})["inform"]


@pytest.mark.parametrize("weight", [0, -1, float("nan"), float("inf"), "much", 1e9])
def test_a_weight_is_a_positive_number(weight: object) -> None:
    with pytest.raises(BadInput) as caught:
        load(None, {**MODEL, "statistics": {"tiers": {"pooled": {"gsm8k": weight, "math": 1}}}})
    assert caught.value.faults[0].key == "statistics.tiers.pooled.gsm8k"


def test_an_unknown_key_and_a_file_of_the_users_own(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("statistics: {tiers: {each: [gsm8k], pool: [math]}}\n", encoding="utf-8")
    with pytest.raises(BadInput) as caught:
        load(path, MODEL)
    assert "each, pooled, inform" in str(caught.value)
    path.write_text("statistics: {tiers: {pooled: [gsm8k, math], inform: perplexity}}\n", encoding="utf-8")
    tiers = load(path, MODEL).statistics.tiers
    assert (tiers.pooled, tiers.inform) == ({"gsm8k": 1.0, "math": 1.0}, ("perplexity",))


def test_a_judged_benchmark_needs_a_margin_before_it_can_decide() -> None:
    judged = _benchmark("elyza", "judge_score", rubrics=["elyza_2023"])
    benchmarks = (*RUN, judged)
    found = _faults({"each": ["gsm8k", "elyza"]}, benchmarks=benchmarks)
    assert "got 'elyza'" in found["each"] and "statistics.margins.judged" in found["each"]
    assert "or put it into `inform`" in found["each"]
    pooled = _faults({"pooled": ["gsm8k", "elyza"]}, benchmarks=benchmarks)["pooled"]
    assert "into `each` if you set statistics.margins.judged" in pooled
    margin = {"margins": {"judged": 0.2}}
    assert "elyza" in _tiers({"each": ["gsm8k", "elyza"]}, (RUN[0], judged), **margin).each
    assert _tiers({"each": ["gsm8k"], "inform": ["elyza"]}, (RUN[0], judged)).inform == ("elyza",)
