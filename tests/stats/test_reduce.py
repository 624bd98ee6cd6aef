"""Records to items: seeds are averaged first, and an unscored record never counts as zero."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from stats.reduce import per_item, with_value

SCHEMA = {
    "arm": pl.String,
    "benchmark": pl.String,
    "item_id": pl.String,
    "cluster": pl.String,
    "seed": pl.Int64,
    "prompt_hash": pl.String,
    "outcome": pl.String,
    "score": pl.Float64,
    "nll_sum": pl.Float64,
    "n_tokens": pl.Int64,
}


def _record(item_id: str, seed: int, outcome: str, score: float | None = None, **fields: Any) -> dict[str, Any]:
    row: dict[str, Any] = {"arm": "q8_0", "benchmark": "gsm8k", "item_id": item_id, "seed": seed, "prompt_hash": "p"}
    return dict.fromkeys(SCHEMA) | row | {"outcome": outcome, "score": score} | fields


def _reduced(*rows: dict[str, Any]) -> list[dict[str, Any]]:
    return per_item(with_value(pl.DataFrame(list(rows), schema=SCHEMA))).to_dicts()


def test_seeds_are_reduced_to_one_mean_per_item() -> None:
    rows = [_record("a", seed, "correct" if seed else "wrong", float(seed > 0)) for seed in range(3)]
    (item,) = _reduced(*rows)
    assert item["mean"] == pytest.approx(2 / 3)
    assert item["variance"] == pytest.approx(1 / 3)
    assert (item["n_runs"], item["prompt_hash"]) == (3, "p")


def test_an_unscored_record_is_left_out_and_does_not_count_as_zero() -> None:
    (item,) = _reduced(_record("a", 0, "correct", 1.0), _record("a", 1, "unscored"))
    assert (item["mean"], item["variance"], item["n_runs"]) == (1.0, None, 1)


def test_an_item_that_was_never_scored_keeps_its_row() -> None:
    (item,) = _reduced(_record("a", 0, "unscored", prompt_hash=None))
    assert (item["mean"], item["n_runs"], item["prompt_hash"]) == (None, 0, None)


def test_a_measured_record_gives_nats_per_token() -> None:
    (item,) = _reduced(_record("a", 0, "measured", nll_sum=640.0, n_tokens=256))
    assert item["mean"] == 2.5


def test_a_measurement_that_is_not_finite_or_has_no_tokens_is_unscored() -> None:
    items = _reduced(
        _record("a", 0, "measured", nll_sum=float("nan"), n_tokens=256),
        _record("b", 0, "measured", nll_sum=1.0, n_tokens=0),
        _record("c", 0, "measured"),
    )
    assert [item["mean"] for item in items] == [None, None, None]


def test_a_prompt_drawn_anew_for_each_seed_has_all_its_hashes() -> None:
    (item,) = _reduced(_record("a", 0, "correct", 1.0, prompt_hash="x"), _record("a", 1, "wrong", 0.0, prompt_hash="b"))
    assert item["prompt_hash"] == "b+x"


def test_the_order_of_records_does_not_matter() -> None:
    rows = [_record(item, seed, "correct", score) for item in "cab" for seed, score in ((0, 0.1), (1, 0.2), (2, 0.7))]
    assert _reduced(*rows) == _reduced(*reversed(rows))


def test_items_keep_a_shared_source_and_other_items_are_their_own_source() -> None:
    items = _reduced(_record("a", 0, "correct", 1.0, cluster="article 7"), _record("b", 0, "correct", 1.0))
    assert [item["cluster"] for item in items] == ["article 7", "item b"]
