"""The sample run with one more benchmark, whose answers two judges and people scored, made up from a known truth.

A question has a difficulty, an answer a quality. People give the quality, rounded to the scale. `owl` follows people
closely, but is generous, and the more so the longer an answer is. `hen` is harsh and noisy. An earlier judge, `old`,
has judged one arm. q4_k_m answers longer and worse than f16, so `owl` hides a part of its loss. People scored 40 of
120 questions, drawn at random.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from reporting.analysis.judged import with_judgements
from reporting.frames import HUMAN_SCORE_SCHEMA, JUDGEMENT_SCHEMA, RECORD_SCHEMA
from tests.reporting.sample_run import SampleRun, sample_run

NAME = "elyza"
ARMS = ("f16", "q8_0", "q4_k_m")
LOSS = {"f16": 0.0, "q8_0": 0.03, "q4_k_m": 0.5}
"""Mean loss of quality of an arm, in points."""
LONGER = {"f16": 0.0, "q8_0": 2.0, "q4_k_m": 60.0}
"""Tokens that an arm's answers are longer on average."""
JURY = ("owl", "hen")
SEEDS = (0, 1)
REPEATS = 2
N_ITEMS = 120
N_LABELLED = 40


def judged_benchmark(jury: tuple[str, ...] = JURY) -> dict[str, Any]:
    """Return the description of the benchmark."""
    judges = [
        {
            "name": name,
            "model": f"{name}-1",
            "requested": name,
            "fingerprint": None,
            "host": "judge.example",
            "sha256": None,
            "temperature": 0.7,
            "repeats": REPEATS,
            "rubric": "elyza_2023",
            "prompt_version": 1,
        }
        for name in jury
    ]
    return {
        "name": NAME,
        "kind": "generate",
        "metric": "judge_score",
        "higher_is_better": True,
        "scale": [1.0, 5.0],
        "version": 1,
        "n_items_total": N_ITEMS,
        "n_items": N_ITEMS,
        "chance": 0.0,
        "shots": 0,
        "seeds": list(SEEDS),
        "deterministic": False,
        "data_hash": "0" * 64,
        "title": {"ja": "ELYZA Tasks 100", "en": "ELYZA Tasks 100"},
        "source": {"dataset": NAME, "license": "CC-BY-SA-4.0"},
        "category": None,
        "questions": None,
        "judges": judges,
        "judges_reason": None,
    }


def made_up(seed: int, n_items: int = N_ITEMS, n_labelled: int = N_LABELLED) -> tuple[pl.DataFrame, ...]:
    """Return records that wait for a judge, judgements, and human scores."""
    rng = np.random.default_rng(seed)
    shape = (n_items, len(ARMS), len(SEEDS))
    question = rng.normal(3.2, 0.9, size=(n_items, 1, 1))
    longer = np.array([LONGER[arm] for arm in ARMS])[None, :, None]
    tokens = np.maximum(5, np.round(rng.normal(150, 40, (n_items, 1, 1)) + longer + rng.normal(0, 40, shape)))
    loss = np.array([LOSS[arm] for arm in ARMS])[None, :, None]
    quality = question - loss + rng.normal(0, 0.5, shape)
    items = [f"elyza-{place:03d}" for place in range(n_items)]
    records, judgements, people = [], [], []
    for (item, arm, run), better in np.ndenumerate(quality):
        key = {"arm": ARMS[arm], "benchmark": NAME, "item_id": items[item], "seed": SEEDS[run]}
        length = float(tokens[item, arm, run])
        record = dict.fromkeys(RECORD_SCHEMA) | key
        record |= {"prompt_hash": f"p{item}", "outcome": "unscored", "reason": "no_judge", "text": "答えは…"}
        record |= {"prompt_tokens": 90, "completion_tokens": int(length), "finish_reason": "stop"}
        records.append(record)
        means = {"owl": better + 0.5 + 0.006 * (length - 150), "hen": 0.6 * better + 0.4}
        means |= {"old": better} if ARMS[arm] == "f16" else {}
        for judge, mean in means.items():
            for repeat in range(REPEATS):
                score = _rounded(mean + rng.normal(0, {"owl": 0.3, "hen": 0.9, "old": 0.5}[judge]))
                row = {"judge": judge, **key, "repeat": repeat, "turn": 0, "score": score, "text": "{}"}
                judgements.append(dict.fromkeys(JUDGEMENT_SCHEMA) | row | {"model": f"{judge}-1"})
        if item < n_labelled and run == 0:
            for rater in ("aiko", "ben"):
                score = _rounded(better + rng.normal(0, 0.3))
                people.append({**key, "turn": None, "score": score, "rater": rater})
    frames = (records, RECORD_SCHEMA), (judgements, JUDGEMENT_SCHEMA), (people, HUMAN_SCORE_SCHEMA)
    return tuple(pl.DataFrame(rows, schema=schema) for rows, schema in frames)


def _rounded(score: float) -> float:
    return float(min(5, max(1, round(score))))


def human_truth(n_items: int = 200_000) -> dict[str, float]:
    """Return the mean human score of each arm over very many questions."""
    rng = np.random.default_rng(99)
    question = rng.normal(3.2, 0.9, n_items)
    noise = rng.normal(0, np.hypot(0.5, 0.3), n_items)
    return {arm: float(np.clip(np.round(question - LOSS[arm] + noise), 1, 5).mean()) for arm in ARMS}


def judged_run(jury: tuple[str, ...] = JURY) -> tuple[SampleRun, pl.DataFrame, pl.DataFrame]:
    """Return the run with the scores of its jury, all judgements, and the human scores."""
    made = sample_run()
    records, judgements, people = made_up(1)
    scored = with_judgements(records, judgements, {NAME: jury})
    run = {**made.run, "benchmarks": [*made.run["benchmarks"], judged_benchmark(jury)]}
    return SampleRun(run, pl.concat([made.records, scored]), made.timings), judgements, people
