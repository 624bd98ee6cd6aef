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
    """A choice of which answers are shown."""

    name: str
    title: str
    options: tuple[tuple[str, str], ...]
    """Values, and how they are called."""


def answers_html(comparison: Mapping[str, Any], packed: PackedAnswers, words: Words) -> str:
    """Return the page in one language."""
    script = _script()
    facts = _facts(comparison, packed, words)
    parts: dict[str, Any] = {
        "w": words,
        "title": words.say("回答の比較", "Answers side by side"),
        "pipeline_id": comparison["pipeline_id"],
        "filters": _filters(comparison, packed, words),
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
        "n_questions": packed.n_questions,
    }


def _words(words: Words) -> dict[str, str]:
    say = words.say
    return {
        "answer": say("抽出した答え", "extracted answer"),
        "counts": say("{all} 問中 {shown} 問を表示", "{shown} of {all} questions"),
        "criteria": say("採点基準", "criteria"),
        "empty": say("(空の回答)", "(empty answer)"),
        "expected": say("期待される答え", "expected answer"),
        GAINED: say("誤 → 正", "wrong → right"),
        "judges": say("採点モデルの判定", "what the judges said"),
        "loading": say("残りを読み込み中…", "loading the rest…"),
        LOST: say("正 → 誤", "right → wrong"),
        "model_answer": say("模範解答", "reference answer"),
        "nothing": say("条件に合う問題はない。", "No question matches."),
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
    made = [
        _Filter("benchmark", header(words, "benchmark"), tuple((name, titles[name]) for name in packed.benchmarks)),
        _Filter("model", header(words, "model"), tuple((visible(one), visible(one)) for one in packed.models)),
        _Filter("arm", header(words, "arm"), tuple((arm, arm) for arm in arms)),
        _Filter(
            "outcome",
            words.say("採点結果", "Outcome"),
            tuple((code, code_in_words(words, code)) for code in packed.outcomes),
        ),
        _Filter("flip", words.say("反転", "Flip"), flips if packed.has_flips else ()),
        _Filter("seed", header(words, "seed"), tuple((str(seed), str(seed)) for seed in packed.seeds)),
    ]
    return [one for one in made if len(one.options) > 1]


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
