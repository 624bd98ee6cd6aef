"""Gold solutions by teacher forcing: the items, the records against decoding one by one, and the results."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from actors.engines.llama import LlamaEngine
from actors.evaluation.benchmarks import BENCHMARKS, load
from actors.evaluation.benchmarks.solutions import solutions_of
from actors.evaluation.contract import LoaderInputs
from actors.evaluation.evaluate import evaluate_block
from actors.items import Choose, Generate
from actors.llama.batch import Run
from actors.llama.context import Context
from actors.llama.model import Model
from actors.orchestrator.may_end_early import can_end_early
from actors.orders import BlockOrder
from conf.schema.answers import Sampling
from reporting.analysis.results import build_results
from reporting.frames import RECORD_SCHEMA, TIMING_SCHEMA
from reporting.terminal.summary import summary_table
from reporting.validate import validate
from stats.intervals import t_interval
from tests.conftest import ignore, layout
from tests.orchestrator.small_plan import deterministic, modified
from tests.reporting.sample_run import sample_run

SAMPLING = Sampling(max_tokens=8)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A data folder with eight examples of GSM8K and two questions."""
    (tmp_path / "gsm8k").mkdir()
    shots = [{"id": f"train-{i}", "question": f"How many? {i}", "answer": f"It is {i}.\n#### {i}"} for i in range(8)]
    test = [
        {"id": "test-1", "question": "the hat", "answer": "the sun <<1+2=3>>3 is in\n#### 3"},
        {"id": "test-2", "question": "one and two", "answer": "in the\n#### 12"},
    ]
    for name, rows in (("train_first200", shots), ("test", test)):
        (tmp_path / "gsm8k" / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def test_the_only_choice_is_the_solution_after_the_same_prompt(data_dir: Path, tiny: Model) -> None:
    asked = load("gsm8k", data_dir=data_dir, sampling=SAMPLING, vocabulary=tiny)
    data = load("gsm8k_solutions", data_dir=data_dir, sampling=SAMPLING, vocabulary=tiny)
    by_id = {item.item_id: item.task for item in data.items}
    for item in asked.items:
        task = by_id[item.item_id]
        assert isinstance(item.task, Generate)
        assert isinstance(task, Choose)
        assert task.messages == item.task.messages
    first = by_id["test-1"]
    assert isinstance(first, Choose)
    assert first.choices == (" the sun 3 is in\n#### 3",)
    assert (data.spec.metric, data.spec.higher_is_better, data.spec.scorer.name) == ("nll", False, "measured")


def test_the_solution_is_no_part_of_the_question(data_dir: Path, tiny: Model) -> None:
    """Records of generated answers stay valid: their key does not hold the solution."""
    benchmark = BENCHMARKS["gsm8k"]
    loaded = benchmark.load(LoaderInputs(data_dir, SAMPLING, tiny))
    bare = replace(loaded, raw_items=tuple(replace(raw, solution=None) for raw in loaded.raw_items))
    hashes = [
        load(one, data_dir=data_dir, sampling=SAMPLING, vocabulary=tiny).data_hash
        for one in (benchmark, replace(benchmark, load=lambda inputs: bare))
    ]
    assert hashes[0] == hashes[1]


def test_a_benchmark_without_solutions_cannot_be_measured(data_dir: Path, tiny: Model) -> None:
    with pytest.raises(TypeError, match="a question with a solution"):
        solutions_of(BENCHMARKS["demo_qa"]).load(LoaderInputs(data_dir, SAMPLING, tiny))


def test_records_hold_what_decoding_the_whole_text_alone_gives(data_dir: Path, tiny: Model) -> None:
    data = load("gsm8k_solutions", data_dir=data_dir, sampling=SAMPLING, vocabulary=tiny)
    engine = LlamaEngine(tiny.path, layout(n_ctx=4096))
    block = BlockOrder(
        "f16", tiny.path, data.spec.name, data.spec.scorer, data.items, (0,), SAMPLING, layout(n_ctx=4096), "unused"
    )
    records = evaluate_block(block, engine, ignore).records
    engine.close()
    for item, record in zip(data.items, records, strict=True):
        expected, n_tokens = _nll_alone(tiny, item.task)
        assert (record.outcome, record.score, record.n_tokens) == ("measured", None, n_tokens)
        assert record.nll_sum == pytest.approx(expected, rel=1e-3)
        assert record.choice_logliks is not None
        assert [-value for value in record.choice_logliks] == [record.nll_sum]


def _nll_alone(model: Model, task: object) -> tuple[float, int]:
    """Return the negative log-likelihood of the solution, and its tokens: one sequence, decoded from its start."""
    assert isinstance(task, Choose)
    prompt = "".join(message.content for message in task.messages)
    whole = model.tokenize(prompt + task.choices[0], add_special=True, parse_special=False)
    alone = model.tokenize(prompt, add_special=True, parse_special=False)
    begin = next((n for n, (one, other) in enumerate(zip(alone, whole, strict=False)) if one != other), len(alone))
    context = Context(model, layout(sequences=1, n_ctx=4096), max_sequences=1)
    rows = [row.logits.astype(np.float64) for row in context.decode([Run(0, 0, whole[:-1], begin - 1)])]
    logits = np.concatenate([row.copy() for row in rows])
    context.close()
    logprobs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    return -float(logprobs[np.arange(len(logits)), whole[begin:]].sum()), len(whole) - begin


def test_results_are_the_mean_over_items_and_differences_in_ln_ppl() -> None:
    sample, rng = sample_run(), np.random.default_rng(4)
    shown = {"name": "gsm8k_solutions", "kind": "choose", "metric": "nll", "higher_is_better": False, "scale": None}
    benchmark = sample.run["benchmarks"][1] | shown
    lengths, base = rng.integers(20, 200, 60), rng.uniform(0.3, 0.9, 60)
    lost = {"f16": np.zeros(60), "q8_0": rng.normal(0, 0.004, 60), "q4_k_m": rng.normal(0.03, 0.01, 60)}
    rows = [
        dict.fromkeys(RECORD_SCHEMA)
        | {"arm": arm, "benchmark": "gsm8k_solutions", "item_id": f"{n:03}", "seed": 0, "prompt_hash": str(n)}
        | {"outcome": "measured", "n_tokens": int(lengths[n]), "nll_sum": float(lengths[n] * (base[n] + more[n]))}
        for arm, more in lost.items()
        for n in range(60)
    ]
    run = sample.run | {"benchmarks": [benchmark], "failures": [], "notices": []}
    made = build_results(run, pl.DataFrame(rows, schema=RECORD_SCHEMA), pl.DataFrame(schema=TIMING_SCHEMA))
    validate("statistical_analysis", made.analysis)
    validate("quantization_comparison", made.comparison)
    own = {row["metric"]: row for row in made.comparison["results"] if row["arm"] == "f16"}
    assert own.keys() == {"nll", "perplexity"}
    assert own["nll"]["mean"] == pytest.approx(base.mean())
    assert own["nll"]["ci_method"] == "t"
    assert own["perplexity"]["mean"] == pytest.approx(math.exp(base.mean()))
    rows_of = {row["arm"]: row for row in made.analysis["comparisons"]}
    expected = t_interval(lost["q4_k_m"])
    assert rows_of["q4_k_m"]["ci95"] == pytest.approx([expected.low, expected.high])
    assert {arm: row["verdict"] for arm, row in rows_of.items()} == {"q8_0": "no_worse", "q4_k_m": "worse"}
    assert (rows_of["q4_k_m"]["margin"], rows_of["q4_k_m"]["flips_reason"]) == (0.01, "not_binary")
    assert made.analysis["score_comparisons"] == []
    assert made.analysis["factorial"] == []
    assert "diff in ln PPL" in summary_table(made.comparison, made.analysis)


def test_solutions_run_to_their_end_under_early_stop() -> None:
    assert can_end_early(deterministic())
    assert not can_end_early(modified(deterministic(), metric="nll", scale=None))
