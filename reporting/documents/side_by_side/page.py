"""Puts the page with the answers side by side together: filters, the packed answers, and the script that shows them.

The page works from disk without a network. Its Content-Security-Policy allows its own style and script only, and the
script never turns a text of a model, a data set or a judge into markup.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from reporting.documents.engine import TEMPLATES, html_environment
from reporting.documents.inside_page import content_policy, script_json
from reporting.documents.phrases import code_in_words
from reporting.documents.side_by_side.choice import scale_width
from reporting.documents.side_by_side.data import PackedAnswers
from reporting.documents.side_by_side.pairs import GAINED, LOST, references_of
from reporting.escape import visible
from reporting.file_names import ALL_ANSWERS
from reporting.fonts import FAMILY, font_faces
from reporting.wording import Words, benchmark_title, header, integer, term

_MARKS = {"correct": "✓", "wrong": "✗", "unscored": "○", "judged": "★"}


@dataclass(frozen=True)
class _Filter:
    """A choice of which answers are shown, or in which order."""

    name: str
    title: str
    options: tuple[tuple[str, str], ...]
    """Values, and how they are called."""
    unchosen: str
    """What holds if none of them is chosen."""


def answers_html(comparison: Mapping[str, Any], packed: PackedAnswers, words: Words) -> str:
    """Return the page in one language."""
    script = _script()
    facts = _facts(comparison, packed, words)
    parts: dict[str, Any] = {
        "w": words,
        "title": words.say("回答の比較", "Answers side by side"),
        "pipeline_id": comparison["pipeline_id"],
        "filters": _filters(comparison, packed, words),
        "order_note": _order_note(comparison, words),
        "left_out": _left_out(packed, words),
        "no_script": _no_script(words),
        "facts": Markup(script_json(facts)),
        "script": Markup(script),
        "pieces": (),
    }
    template = html_environment().get_template("answers.html.j2")
    # Rendered once without the answers: the letters of both decide which glyphs are embedded in the style.
    shown = template.render(**parts, style="", policy="")
    css = (TEMPLATES / "answers.css").read_text(encoding="utf-8")
    letters = html.unescape(shown) + packed.letters + css
    style = f"\n{font_faces(letters, bold=False)}\n{css.replace('FAMILY', FAMILY)}"
    pieces = [Markup(piece) for piece in packed.pieces]
    return template.render(**parts | {"pieces": pieces}, style=Markup(style), policy=content_policy(style, [script]))


def _script() -> str:
    """Return the script of the page: its two files, whose names are no names of the whole page."""
    texts = [(TEMPLATES / name).read_text(encoding="utf-8") for name in ("answers_data.js", "answers.js")]
    return '"use strict";\n(() => {\n' + "\n".join(texts) + "})();\n"


def _facts(comparison: Mapping[str, Any], packed: PackedAnswers, words: Words) -> dict[str, Any]:
    """Return what the script has to know beside the answers."""
    generated = [one for one in comparison["benchmarks"] if one["name"] in packed.benchmarks]
    return {
        "words": _words(words),
        "codes": {code: code_in_words(words, code) for code in (*packed.outcomes, *packed.reasons)},
        "marks": _MARKS,
        "titles": {one["name"]: benchmark_title(words, one) for one in generated},
        "widths": {one["name"]: scale_width(one) for one in generated},
        "references": {visible(arm): visible(of) for arm, of in references_of(comparison["arms"]).items()},
        "several_models": len(packed.models) > 1,
        "n_comparisons": packed.n_questions,
    }


def _words(words: Words) -> dict[str, Any]:
    say = words.say
    return {
        "orders": {code: note for code, _, note in _orders(words)},
        "answer": say("抽出した答え", "extracted answer"),
        "counts": say(
            "{all} 件の比較のうち {shown} 件を表示(問題 {items} 問、回答 {answers} 件)",
            "{shown} of {all} comparisons, with {items} questions and {answers} answers",
        ),
        "criteria": say("採点基準", "criteria"),
        "empty": say("(空の回答)", "(empty answer)"),
        "expected": say("期待される答え", "expected answer"),
        GAINED: say("誤 → 正", "wrong → right"),
        "judge_text": say("採点モデルの出力全文", "all that the judge wrote"),
        "judges": say("採点モデルの判定", "what the judges said"),
        "loading": say("残りを読み込み中…", "loading the rest…"),
        LOST: say("正 → 誤", "right → wrong"),
        "model_answer": say("模範解答", "reference answer"),
        "no_score": say("得点なし", "no score"),
        "nothing": say("条件に合うものはない。", "Nothing matches."),
        "old_browser": _no_script(words),
        "question": term(words, "item") if words.ja else "question",
        "reference": term(words, "reference"),
        "repeat": say("反復", "repeat"),
        "same_text": say("本文は基準と同じ", "same text as the reference"),
        "score": say("得点", "score"),
        "seed": term(words, "seed"),
        "text": say("回答", "answer"),
        "text_difference": say("本文の差", "text differs by"),
        "thoughts": say("思考", "thoughts"),
        "tokens": say("トークン", "tokens"),
        "turn": say("発話", "turn"),
    }


def _filters(comparison: Mapping[str, Any], packed: PackedAnswers, words: Words) -> list[_Filter]:
    """Return the filters that leave a choice."""
    titles = {one["name"]: benchmark_title(words, one) for one in comparison["benchmarks"]}
    arms = [visible(arm["name"]) for arm in comparison["arms"] if arm["name"] in packed.arms]
    flips = (
        ("both", words.say("反転したもの", "any flip")),
        (LOST, words.say("正 → 誤", "right → wrong")),
        (GAINED, words.say("誤 → 正", "wrong → right")),
    )
    everything = words.say("すべて", "all")
    outcomes = tuple((code, code_in_words(words, code)) for code in packed.outcomes)
    made = [
        _Filter(name, title, options, everything)
        for name, title, options in (
            ("benchmark", header(words, "benchmark"), tuple((name, titles[name]) for name in packed.benchmarks)),
            ("model", header(words, "model"), tuple((visible(one), visible(one)) for one in packed.models)),
            ("arm", header(words, "arm"), tuple((arm, arm) for arm in arms)),
            ("outcome", words.say("採点結果", "Outcome"), outcomes),
            ("flip", words.say("反転", "Flip"), flips if packed.has_flips else ()),
            ("seed", header(words, "seed"), tuple((str(seed), str(seed)) for seed in packed.seeds)),
        )
    ]
    shown = [one for one in made if len(one.options) > 1]
    if references_of(comparison["arms"]):
        (_, usual, _), *others = _orders(words)
        shown.append(
            _Filter("order", words.say("並び順", "Order"), tuple((code, title) for code, title, _ in others), usual)
        )
    return shown


def _orders(words: Words) -> list[tuple[str, str, str]]:
    """Return the orders that a reader can choose, the page's own first: code, title, and what comes first."""
    say = words.say
    return [
        (
            "",
            say("違いが大きい順", "largest differences first"),
            say(
                "並び順: 正誤が反転したもの、得点の差が大きいもの(スケールの幅に対する比)、本文の差が大きいものの順。",
                "Order: flips (right to wrong or back) first, then by the difference in score relative to the scale, "
                "then by the difference of the texts.",
            ),
        ),
        (
            "loss",
            say("得点の低下が大きい順", "largest losses first"),
            say(
                "並び順: 得点が基準より大きく下がったものから。",
                "Order: first where an arm scores farthest below its reference.",
            ),
        ),
        (
            "gain",
            say("得点の上昇が大きい順", "largest gains first"),
            say(
                "並び順: 得点が基準より大きく上がったものから。",
                "Order: first where an arm scores farthest above its reference.",
            ),
        ),
        (
            "question",
            say("問題の順", "by question"),
            say("並び順: ベンチマーク、問題、シードの順。", "Order: by benchmark, question and seed."),
        ),
    ]


def _order_note(comparison: Mapping[str, Any], words: Words) -> str:
    """Return the order in which the page begins. Without a reference nothing differs from it."""
    orders = {code: note for code, _, note in _orders(words)}
    return orders["" if references_of(comparison["arms"]) else "question"]


def _left_out(packed: PackedAnswers, words: Words) -> str:
    """Return what the page does not hold; an empty string if it holds all answers."""
    if packed.n_answers == packed.n_answers_in_all:
        return ""
    held, of = integer(packed.n_answers), integer(packed.n_answers_in_all)
    table = ALL_ANSWERS.name
    return words.say(
        f"全 {of} 件の回答のうち、基準との違いが大きい {held} 件だけを収めている。すべての回答は {table} にある。",
        f"This page holds {held} of {of} answers: those that differ most. All of them are in {table}.",
    )


def _no_script(words: Words) -> str:
    tables = f"{ALL_ANSWERS.name}, {ALL_ANSWERS.with_suffix('.csv').name}"
    return words.say(
        f"このページには JavaScript と DecompressionStream に対応したブラウザ(2023年5月以降の版)が必要である。"
        f"同じ内容は次の表にもある: {tables}",
        "This page needs JavaScript and a browser with DecompressionStream (any version since May 2023). "
        f"The same answers are in these tables: {tables}",
    )
