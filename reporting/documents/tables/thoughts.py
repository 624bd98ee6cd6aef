"""The table of thoughts: how long models thought before they answered, and how often they were cut while thinking."""

from __future__ import annotations

import json

import numpy as np
import polars as pl

from reporting.documents.tables.results import Table, make_table
from reporting.results_folder import Findings
from reporting.thoughts import CUT, THINKING, thoughtful_answers
from reporting.wording import DASH, Words, header, integer, number

_MODES = {
    "on": ("オン", "on"),
    "off": ("オフ", "off"),
    "template": ("テンプレートに従う", "as the template has it"),
}


def thinking_table(findings: Findings, words: Words) -> Table:
    """Return one row per arm that may think or was told not to. It has no rows if there is none."""
    columns = [
        (header(words, "arm"), False),
        (words.say("思考", "Thinking"), False),
        (words.say("テンプレートの引数", "Template arguments"), False),
        (words.say("思考のトークン上限", "Token budget of the thoughts"), True),
    ]
    rows = [
        (
            str(arm["name"]),
            words.say(*_MODES[given["mode"]]),
            json.dumps(given["arguments"], ensure_ascii=False, sort_keys=True) if given["arguments"] else DASH,
            integer(given["max_tokens"]) if given["max_tokens"] else DASH,
        )
        for arm in findings.arms
        if (given := arm.get("thinking")) is not None
    ]
    return make_table(columns, rows)


def thoughts_table(findings: Findings, words: Words) -> Table:
    """Return one row per benchmark and arm with thoughts. It has no rows if no model thought."""
    columns = [
        (header(words, "benchmark"), False),
        (header(words, "arm"), False),
        (words.say("n (回答)", "n answers"), True),
        (words.say("思考あり", "With thoughts"), True),
        (words.say("思考の平均トークン数", "Mean thought tokens"), True),
        (words.say("中央値", "Median"), True),
        (words.say("思考中に打ち切り", "Cut while thinking"), True),
    ]
    answers = thoughtful_answers(findings)
    if answers is None:
        return make_table(columns, [])
    rows = [
        (str(benchmark["name"]), str(arm["name"]), *_cells(own))
        for benchmark in findings.benchmarks
        for arm in findings.arms
        if _has_thoughts(own := answers.filter(benchmark=benchmark["name"], arm=arm["name"]))
    ]
    return make_table(columns, rows)


def _has_thoughts(own: pl.DataFrame) -> bool:
    return not own.filter(THINKING).is_empty()


def _cells(own: pl.DataFrame) -> tuple[str, ...]:
    thinking = own.filter(THINKING)
    tokens = thinking["thought_tokens"].drop_nulls().to_numpy()
    counted = tokens.size > 0
    return (
        integer(own.height),
        f"{number(100 * thinking.height / own.height, 1)}%",
        number(float(tokens.mean()), 1) if counted else DASH,
        number(float(np.median(tokens)), 1) if counted else DASH,
        f"{number(100 * own.filter(CUT).height / own.height, 1)}%",
    )
