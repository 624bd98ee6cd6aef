"""The columns of eight tables: records, judgements, style of answers, human scores, timings, importance matrices,
questions, and errors of tensors.

A frame that is made with one of these schemas has the right types even if a column holds only nulls. Without a schema,
polars would have to guess.
"""

from __future__ import annotations

import polars as pl

Column = pl.DataType | type[pl.DataType]
TOKEN_CLASSES = ("mathematics", "science", "other")
"""Names of the classes that the tokens of a text belong to (see `actors.token_classes`)."""
_DIVERGENCE: dict[str, type[pl.DataType]] = {
    "nll_sum": pl.Float64,
    "n_tokens": pl.Int64,
    "kld_sum": pl.Float64,
    "top_agree": pl.Int64,
    "p_change_sum": pl.Float64,
    "p_change_squares": pl.Float64,
}


def class_column(token_class: str, name: str) -> str:
    """Return the name of the column with the sum over the tokens of one class."""
    return f"{token_class}.{name}"


_BY_TOKENS: dict[str, type[pl.DataType]] = {
    **_DIVERGENCE,
    "divergence_reason": pl.Categorical,
    **{class_column(one, name): kind for one in TOKEN_CLASSES for name, kind in _DIVERGENCE.items()},
}
DIVERGENCE_COLUMNS = list(_BY_TOKENS)
"""Columns that only records of text have."""

_OF_GOLD: dict[str, type[pl.DataType]] = {"gold_probability": pl.Float64, "gold_loglik": pl.Float64}
GOLD_COLUMNS = list(_OF_GOLD)
"""Columns that only records of multiple choice by likelihood have."""

RECORD_SCHEMA: dict[str, Column] = {
    "arm": pl.Categorical,
    "benchmark": pl.Categorical,
    "item_id": pl.String,
    "cluster": pl.String,
    "item_category": pl.Categorical,
    "seed": pl.Int64,
    "prompt_hash": pl.String,
    "outcome": pl.Categorical,
    "score": pl.Float64,
    "reason": pl.Categorical,
    "text": pl.String,
    "earlier_texts": pl.List(pl.String),
    "earlier_cuts": pl.List(pl.Boolean),
    "thoughts": pl.String,
    "thought_tokens": pl.Int64,
    "answer": pl.String,
    "prompt_tokens": pl.Int64,
    "completion_tokens": pl.Int64,
    "finish_reason": pl.Categorical,
    **_BY_TOKENS,
    **_OF_GOLD,
}
"""One row per planned record. Records of text have sums over all scored tokens and over the tokens of each class.
Records of choices have the probability and the log-likelihood (nats) of the right choice. `cluster` is the source that
items share (a document or an article), null for an item that shares none. `item_category` is the item's own category
within its benchmark, null if it has none. A record that a failed block never wrote is
`unscored` with reason `block_failed`.

Words that many records share are categories: they take 4 bytes a record. A run has millions of records."""


def answer_tokens() -> pl.Expr:
    """Return the tokens of answers without their thoughts; null if a server shows thoughts without counting them."""
    counted = pl.col("thoughts").is_null() | pl.col("thought_tokens").is_not_null()
    return pl.when(counted).then(pl.col("completion_tokens") - pl.col("thought_tokens").fill_null(0))


JUDGEMENT_SCHEMA: dict[str, Column] = {
    "judge": pl.Categorical,
    "arm": pl.Categorical,
    "benchmark": pl.Categorical,
    "item_id": pl.String,
    "seed": pl.Int64,
    "repeat": pl.Int64,
    "turn": pl.Int64,
    "score": pl.Float64,
    "reason": pl.Categorical,
    "text": pl.String,
    "model": pl.Categorical,
    "fingerprint": pl.Categorical,
    "prompt_tokens": pl.Int64,
    "completion_tokens": pl.Int64,
}
"""One row per judgement: what a judge said about one turn of one answer in one repeat (`actors.judging.orders`). A
judgement that is missing because the judge was away has a row without a score, with reason `judge_failed`."""

STYLES = ("empty", "very_short", "cut_off", "repeating", "wrong_language", "mixed_language")
"""What is noted of each answer, as yes or no (see `reporting.analysis.answer_style`)."""
STYLE_SCHEMA: dict[str, Column] = {
    "arm": pl.Categorical,
    "benchmark": pl.Categorical,
    "item_id": pl.String,
    "seed": pl.Int64,
    "tokens": pl.Int64,
    "characters": pl.Int64,
    "language": pl.Categorical,
    **dict.fromkeys(STYLES, pl.Boolean),
}
"""One row per generated answer, without its thoughts. `tokens` is null if an endpoint does not count them; `language`
is the ISO 639-1 code of the answer's main language, null if it is too short; `wrong_language` is null if the language
of the benchmark's questions is not known."""

HUMAN_SCORE_SCHEMA: dict[str, type[pl.DataType]] = {
    "benchmark": pl.String,
    "arm": pl.String,
    "item_id": pl.String,
    "seed": pl.Int64,
    "turn": pl.Int64,
    "score": pl.Float64,
    "rater": pl.String,
}
"""One row per human score of an answer (`reporting.human_scores`). `turn` counts from 0; null: the whole answer.
`rater` is null if the file names none."""

TIMING_SCHEMA: dict[str, Column] = {
    "arm": pl.String,
    "benchmark": pl.String,
    "block": pl.String,
    "load_s": pl.Float64,
    "prompt_tokens": pl.Int64,
    "prompt_s": pl.Float64,
    "completion_tokens": pl.Int64,
    "decode_s": pl.Float64,
    "wall_s": pl.Float64,
    "worker_pid": pl.Int64,
    "memory": pl.Struct(
        {
            "weights_host_bytes": pl.Int64,
            "weights_device_bytes": pl.Int64,
            "kv_host_bytes": pl.Int64,
            "kv_device_bytes": pl.Int64,
            "compute_host_bytes": pl.Int64,
            "compute_device_bytes": pl.Int64,
        }
    ),
    "machine": pl.Struct(
        {
            "machine": pl.String,
            "observed_from": pl.Float64,
            "observed_s": pl.Float64,
            "cpus": pl.Int64,
            "own_cpu_s": pl.Float64,
            "all_cpu_s": pl.Float64,
            "memory_stall_s": pl.Float64,
        }
    ),
}
"""One row per finished block. `memory` is what the arm's model takes, null if none was loaded; `machine` is what else
went on, null in timings of older versions."""

IMPORTANCE_SCHEMA: dict[str, type[pl.DataType]] = {
    "matrix": pl.String,
    "name": pl.String,
    "layer": pl.Int64,
    "kind": pl.String,
    "total": pl.Float64,
    "minimum": pl.Float64,
    "maximum": pl.Float64,
    "mean": pl.Float64,
    "sigma": pl.Float64,
    "active": pl.Float64,
    "n_columns": pl.Int64,
    "entropy_bits": pl.Float64,
    "entropy_share": pl.Float64,
    "outliers": pl.Float64,
    "cosine": pl.Float64,
}
"""One row per weight matrix in an importance matrix, with the statistics of `llama-imatrix --show-statistics`. `matrix`
is the name of the calibration mix, with the model's name before it if there are several models. `layer` is null for
matrices outside the layers."""

QUESTION_SCHEMA: dict[str, type[pl.DataType]] = {
    "benchmark": pl.String,
    "item_id": pl.String,
    "question": pl.String,
    "expected": pl.String,
    "criteria": pl.String,
}
"""One row per item of a benchmark with generated answers. `expected` holds the expected answer, or the references that
a judge sees. `criteria` is null unless a judge goes by the item's own criteria."""

LOSS_SCHEMA: dict[str, type[pl.DataType]] = {
    "arm": pl.String,
    "tensor": pl.String,
    "layer": pl.Int64,
    "kind": pl.String,
    "type": pl.String,
    "n_elements": pl.Int64,
    "rows": pl.Int64,
    "rows_measured": pl.Int64,
    "weighted": pl.Boolean,
    "energy": pl.Float64,
    "error": pl.Float64,
}
"""One row per quantized tensor of each arm that was made here, with its rounding error (see
`actors.quantization.losses`)."""
