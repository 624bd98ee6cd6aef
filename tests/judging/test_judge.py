"""Judging one block with scripted judges: what is asked, what is not, and what is kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from actors.errors import EndpointFailed
from actors.judging.asking import Declined, JudgeCall
from actors.judging.cache import VerdictCache
from actors.judging.judge import judge_block
from actors.judging.orders import JudgeModel
from actors.judging.rubrics import RUBRICS, n_repeats, rubric_for
from conf.files import files_below
from tests.conftest import ignore
from tests.judging.orders import ENDPOINT, JUDGE, RULES, ScriptedJudge, item, judged, order, record, verdict


def always(score: int) -> ScriptedJudge:
    return ScriptedJudge(lambda call: verdict(score))


def of_answer(call: JudgeCall) -> str:
    """Return the judged answer, as the prompt shows it."""
    return call.messages[1].content.split("[BEGIN ANSWER")[1].split("\n[END ANSWER")[0].partition("\n")[2]


def test_each_repeat_of_each_answer_is_one_call_and_one_judgement(tmp_path: Path) -> None:
    judge = ScriptedJudge(lambda call: verdict(4 if "良い" in of_answer(call) else 2))
    given = order(tmp_path, [item("a"), item("b")])
    found = judged(given, [record("a", "良い答え"), record("b", "答え"), record("a", "別の答え", seed=1)], judge)
    assert [(one.item_id, one.seed, one.repeat, one.score) for one in found.judgements] == [
        *(("a", 0, repeat, 4.0) for repeat in (0, 1)),
        *(("b", 0, repeat, 2.0) for repeat in (0, 1)),
        *(("a", 1, repeat, 2.0) for repeat in (0, 1)),
    ]
    assert (found.n_asked, found.n_cached, found.is_complete) == (6, 0, True)
    first = found.judgements[0]
    assert (first.judge, first.model, first.fingerprint) == ("judge", "judge-model-2026", "fp_1")
    assert (first.reason, first.text, first.prompt_tokens, first.completion_tokens) == (None, verdict(4), 100, 20)
    assert {call.seed for call in judge.calls} == {0, 1}


def test_a_second_run_asks_nothing_and_gives_the_same(tmp_path: Path) -> None:
    given, answers = order(tmp_path, [item("a")]), [record("a", "答え")]
    first = judged(given, answers, always(3))
    silent = always(5)
    again = judged(given, answers, silent)
    assert silent.calls == [] and again.judgements == first.judgements and (again.n_asked, again.n_cached) == (0, 2)


def test_equal_answers_are_asked_once(tmp_path: Path) -> None:
    judge = always(3)
    found = judged(order(tmp_path, [item("a")]), [record("a", "同じ"), record("a", "同じ", seed=1)], judge)
    assert len(judge.calls) == 2 == found.n_asked and [one.score for one in found.judgements] == [3.0] * 4


@pytest.mark.parametrize(
    "changed",
    [
        {"rules": replace(RULES, temperature=0.5)},
        {"rules": replace(RULES, max_tokens=100)},
        {"rules": replace(RULES, rubric="elyza_strict")},
        {"judge": JudgeModel("judge", replace(ENDPOINT, model="another"))},
        {"judge": JudgeModel("judge", replace(ENDPOINT, url="http://elsewhere/v1"))},
        {"judge": JudgeModel("judge", None, "judge.gguf", "a" * 64)},
        {"items": (item("a", criteria="- 別の基準"),)},
        {"items": (item("a", questions=("別の質問",)),)},
        {"items": (item("a", references=("参考",)),)},
    ],
)
def test_what_changes_the_verdict_is_in_its_key(changed: dict[str, object], tmp_path: Path) -> None:
    answers = [record("a", "答えはこれです。")]
    before = judged(order(tmp_path, [item("a")]), answers, always(3))
    after = judged(replace(order(tmp_path, [item("a")]), **changed), answers, always(4))  # type: ignore[arg-type]
    assert {one.key for one in before.judgements}.isdisjoint(one.key for one in after.judgements)
    assert after.n_cached == 0


@pytest.mark.parametrize(
    "changed",
    [
        {"judge": JudgeModel("other name", replace(ENDPOINT, concurrency=1, timeout_s=1.0, attempts=9))},
        {"arm": "f16"},
        {"rules": replace(RULES, repeats=1)},
    ],
)
def test_what_does_not_change_the_verdict_is_not(changed: dict[str, object], tmp_path: Path) -> None:
    answers = [record("a", "答えはこれです。")]
    judged(order(tmp_path, [item("a")]), answers, always(3))
    assert judged(replace(order(tmp_path, [item("a")]), **changed), answers, always(4)).n_asked == 0  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "  \n\t", "\u200b\u3000\ufeff", None])
def test_an_empty_answer_gets_the_lowest_score_without_asking(text: str | None, tmp_path: Path) -> None:
    judge = always(5)
    (one,) = judged(order(tmp_path, [item("a")]), [record("a", text)], judge).judgements
    assert judge.calls == [] and (one.score, one.reason, one.text, one.model) == (1.0, "empty_answer", None, None)


def test_an_answer_cut_inside_its_thoughts_gets_the_lowest_score_without_asking(tmp_path: Path) -> None:
    judge = always(5)
    for more in ({}, {"outcome": "wrong"}):
        cut = record("a", "考えると", reason="cut_while_thinking", **more)
        (one,) = judged(order(tmp_path, [item("a")]), [cut], judge).judgements
        assert (one.score, one.reason) == (1.0, "cut_while_thinking")
    assert judge.calls == []


def test_a_first_turn_cut_inside_its_thoughts_is_told_apart_from_an_empty_one(tmp_path: Path) -> None:
    asked = replace(item("a"), questions=("一つ目", "二つ目", "三つ目"))
    talk = record("a", "", earlier_texts=("", ""), earlier_cuts=(True, False), reason="cut_while_thinking")
    judge = always(5)
    found = judged(order(tmp_path, [asked]), [talk], judge).judgements
    assert [one.reason for one in found] == ["cut_while_thinking", "empty_answer", "cut_while_thinking"]
    assert judge.calls == [] and {one.score for one in found} == {1.0}


def test_records_without_an_answer_and_those_of_others_are_skipped(tmp_path: Path) -> None:
    answers = [
        record("a", None, reason="context_too_long"),
        record("a", "x", seed=7),
        record("elsewhere", "x"),
        record("a", "4", outcome="correct", reason=None),
    ]
    found = judged(order(tmp_path, [item("a")]), answers, always(5))
    assert found.judgements == () and found.is_complete


ENGLISH = "This is a complete answer to the question, but it is written in English from its beginning to its end."
JAPANESE = "これは日本語で書かれた回答です。質問にきちんと答えています。"


@pytest.mark.parametrize(
    ("rubric", "answer", "reference", "reason"),
    [
        ("elyza_strict", ENGLISH, "日本語の正解例です。これは長さも十分です。", "wrong_language"),
        ("elyza_strict", ENGLISH, None, "wrong_language"),
        ("elyza_strict", ENGLISH, "I would like to ask you to send me the book by Friday.", None),
        ("elyza_strict", JAPANESE, None, None),
        ("elyza_strict", "42", None, None),
        ("elyza_2023", ENGLISH, None, None),
    ],
)
def test_only_the_strict_rubric_wants_the_language_of_the_task(
    rubric: str, answer: str, reference: str | None, reason: str | None, tmp_path: Path
) -> None:
    given = order(tmp_path, [item("a", references=(reference,))], rules=replace(RULES, rubric=rubric))
    assert {one.reason for one in judged(given, [record("a", answer)], always(5)).judgements} == {reason}


def test_the_second_turn_is_judged_with_the_first_before_it(tmp_path: Path) -> None:
    judge = ScriptedJudge(lambda call: verdict(9 if "EARLIER ANSWER" in call.messages[1].content else 6))
    given = order(
        tmp_path,
        [item("a", questions=("Q1", "Q2"), references=("R1", None), criteria=None)],
        benchmark="mt_bench",
        rules=replace(RULES, rubric="mt_bench_single", repeats=1),
    )
    found = judged(given, [record("a", "second", earlier_texts=("first",))], judge)
    assert [(one.turn, one.score) for one in found.judgements] == [(0, 6.0), (1, 9.0)]
    first, second = (call.messages[1].content for call in judge.calls)
    assert "| R1" in first and "Q2" not in first and of_answer(judge.calls[0]) == "| first"
    assert all(text in second for text in ("| Q1", "| R1", "| first", "| Q2")) and "CRITERIA" not in second
    assert of_answer(judge.calls[1]) == "| second"


def test_a_turn_that_was_never_reached_counts_as_empty(tmp_path: Path) -> None:
    two = item("a", questions=("Q1", "Q2"))
    found = judged(order(tmp_path, [two], rules=replace(RULES, repeats=1)), [record("a", "only one")], always(4))
    assert [(one.turn, one.score, one.reason) for one in found.judgements] == [(0, 4.0, None), (1, 1.0, "empty_answer")]


def test_an_unreadable_output_is_asked_for_once_more(tmp_path: Path) -> None:
    judge = ScriptedJudge(lambda call: verdict(3) if call.seed >= 1000 else "I cannot say.")
    found = judged(order(tmp_path, [item("a")]), [record("a", "答え")], judge)
    assert [one.score for one in found.judgements] == [3.0, 3.0] and found.n_asked == 4
    assert len({call.messages for call in judge.calls}) == 2, (
        "at temperature 0 the same prompt would give the same text"
    )


def test_an_output_that_is_unreadable_twice_leaves_the_answer_unscored_and_is_asked_again_later(tmp_path: Path) -> None:
    given, answers = order(tmp_path, [item("a"), item("b")]), [record("a", "答え"), record("b", "別の")]
    judge = ScriptedJudge(lambda call: "Rating: 5!" if of_answer(call) == "| 答え" else verdict(2))
    found = judged(given, answers, judge)
    assert [(one.item_id, one.score, one.reason) for one in found.judgements] == [
        *[("a", None, "unreadable_verdict")] * 2,
        *[("b", 2.0, None)] * 2,
    ]
    assert found.judgements[0].text == "Rating: 5!" and found.is_complete
    again = judged(given, answers, always(4))
    assert (again.n_asked, again.n_cached) == (2, 2) and again.judgements[0].score == 4.0


def test_a_declined_call_leaves_one_answer_unscored(tmp_path: Path) -> None:
    judge = ScriptedJudge(lambda call: Declined("filtered") if of_answer(call) == "| 答え" else verdict(2))
    found = judged(order(tmp_path, [item("a"), item("b")]), [record("a", "答え"), record("b", "別の")], judge)
    assert [(one.score, one.reason, one.text) for one in found.judgements[:2]] == [
        (None, "judge_failed", "filtered")
    ] * 2
    assert found.n_asked == 4 and found.is_complete


def test_a_judge_that_goes_away_fails_the_block_and_what_it_said_is_kept(tmp_path: Path) -> None:
    def say(call: JudgeCall) -> str:
        if len(judge.calls) == 4:
            raise EndpointFailed("away")
        return verdict(3)

    judge = ScriptedJudge(say)
    names = ["a", "b", "c"]
    given, answers = order(tmp_path, [item(name) for name in names]), [record(name, f"答え {name}") for name in names]
    with pytest.raises(EndpointFailed):
        judged(given, answers, judge)
    resumed = judged(given, answers, always(3))
    assert (resumed.n_asked, resumed.n_cached) == (3, 3)
    assert [one.score for one in resumed.judgements] == [3.0] * 6


def test_no_more_calls_are_made_than_are_left(tmp_path: Path) -> None:
    judge = always(3)
    given, answers = order(tmp_path, [item("a"), item("b")], calls_left=3), [record("a", "一"), record("b", "二")]
    found = judged(given, answers, judge)
    assert len(judge.calls) == 3 and found.n_asked == 3 and not found.is_complete
    assert found.judgements == () and found.n_verdicts == 3
    rest = judged(given, answers, judge)
    assert (rest.n_asked, rest.n_cached, rest.is_complete, rest.n_verdicts) == (1, 3, True, 4)


def test_a_second_ask_counts_as_a_call(tmp_path: Path) -> None:
    judge = ScriptedJudge(lambda call: "?")
    found = judged(order(tmp_path, [item("a")], calls_left=3), [record("a", "一")], judge)
    assert len(judge.calls) == 3 and not found.is_complete
    assert found.n_verdicts == 0
    none_left = judged(order(tmp_path, [item("a")], calls_left=0), [record("a", "一")], judge)
    assert len(judge.calls) == 3 and not none_left.is_complete


def test_a_damaged_file_of_the_cache_is_asked_again(tmp_path: Path) -> None:
    given, answers = order(tmp_path, [item("a")]), [record("a", "答え")]
    judged(given, answers, always(3))
    first, second = files_below(given.cache_dir)
    first.write_text("{")
    second.write_text('{"score": 99, "text": "x", "prompt_tokens": 1, "completion_tokens": 1}')
    assert judged(given, answers, always(4)).n_asked == 2


def test_the_judge_is_opened_only_to_ask(tmp_path: Path) -> None:
    def fail() -> ScriptedJudge:
        raise AssertionError("opened")

    given = order(tmp_path, [item("a")])
    assert judge_block(given, [record("a", "")], fail, VerdictCache(given.cache_dir), ignore).n_asked == 0


def test_repeats_at_temperature_zero_see_another_order(tmp_path: Path) -> None:
    rules = replace(RULES, temperature=0.0, repeats=20)
    judge = always(3)
    found = judged(order(tmp_path, [item("a")], rules=rules), [record("a", "答え")], judge)
    assert len(found.judgements) == 12 == len({call.messages for call in judge.calls})
    drawn = always(3)
    judged(order(tmp_path / "x", [item("a")], rules=replace(rules, temperature=0.7)), [record("a", "答え")], drawn)
    assert len({call.messages for call in drawn.calls}) == 1 and len({call.seed for call in drawn.calls}) == 20


@pytest.mark.parametrize("name", RUBRICS)
@pytest.mark.parametrize("benchmark", ["elyza", "mt_bench", "mt_bench_ja"])
def test_orders_differ_and_hold_the_same(name: str, benchmark: str) -> None:
    rubric = rubric_for(name, benchmark)
    orders = [rubric.in_order(number) for number in range(rubric.n_orders)]
    assert orders[0] == rubric and len({(one.levels, one.points) for one in orders}) == len(orders)
    assert all(set(one.points) == set(rubric.points) and set(one.levels) == set(rubric.levels) for one in orders)
    assert rubric.in_order(1).points != rubric.points
    assert n_repeats(replace(RULES, temperature=0.0, repeats=2), rubric) == 2


def test_a_rubric_has_the_language_of_its_benchmark() -> None:
    languages = [rubric_for("mt_bench_single", name).language for name in ("mt_bench", "mt_bench_ja")]
    assert languages == ["en", "ja"] and rubric_for("elyza_2023", "elyza").language == "ja"
    assert {rubric.name for variants in RUBRICS.values() for rubric in variants.values()} == set(RUBRICS)
    hashes = {rubric.content_hash for variants in RUBRICS.values() for rubric in variants.values()}
    assert len(hashes) == 4


def test_the_name_of_a_judge_is_in_its_judgements_only(tmp_path: Path) -> None:
    given = order(tmp_path, [item("a")], judge=replace(JUDGE, name="second"))
    assert {one.judge for one in judged(given, [record("a", "答え")], always(3)).judgements} == {"second"}
