"""Letters, texts and regular expressions: what each scorer takes as the answer, and the table of scorers."""

from __future__ import annotations

import inspect

import pytest

from actors.engines import Answer, Choices
from actors.evaluation.contract import ScoreFunction
from actors.evaluation.scorers import SCORE_FUNCTIONS, scorer_of
from actors.evaluation.scorers.letter import final_letter, score_letter
from actors.evaluation.scorers.texts import score_contains, score_exact
from actors.items import Generate, Item, Scorer
from conf.scorers import SCORERS


def item(target: object) -> Item:
    return Item("i", Generate((), False, (), 8), target, "hash")


def answer(text: str) -> Answer:
    return Answer(text, rendered_hash=None, prompt_tokens=1, completion_tokens=1, finish_reason="eog")


def regex_of(pattern: str) -> ScoreFunction:
    return scorer_of(Scorer("regex", {"pattern": pattern}))


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        (" B", "B"),
        ("B.", "B"),
        ("(C) palms covered with oil", "C"),
        ("D. lotion, since oil is wet", "D"),
        ("The answer is (A).", "A"),
        ("The correct answer is A, not B.", "A"),
        ("The answer is B. No, the answer is C.", "C"),
        ("**Answer: D**", "D"),
        ("I think that A cat is warm. Answer: B", "B"),
        ("$\\boxed{C}$", "C"),
        ("$\\boxed{\\text{C}}$", "C"),
        ("答えは B です", "B"),
        ("答え：Ｃ", "C"),
        ("Option (D) is right", "D"),
        ("It must be oil, (C)", "C"),
        ("A cat warms his hands", None),
        ("I do not know", None),
        ("the answer is a cat", None),
        ("", None),
    ],
)
def test_the_letter_of_an_answer_is_found(text: str, letter: str | None) -> None:
    assert final_letter(text) == letter


def test_an_answer_without_a_letter_is_wrong_with_its_reason() -> None:
    assert score_letter(item("A"), answer("none of them")).reason == "no_answer"
    assert score_letter(item("A"), answer("A")).outcome == "correct"
    assert score_letter(item("A"), answer("B")).answer == "B"


@pytest.mark.parametrize(
    ("score", "target", "text", "outcome"),
    [
        (score_exact, "Tokyo", "  ＴＯＫＹＯ\n", "correct"),
        (score_exact, ["Tokyo", "東京"], "東京", "correct"),
        (score_exact, "Tokyo", "Tokyo, Japan", "wrong"),
        (score_exact, 7, "7", "correct"),
        (score_contains, "tokyo", "It is Tokyo, Japan.", "correct"),
        (score_contains, ["Kyoto", "Osaka"], "It is Tokyo.", "wrong"),
        (regex_of(r"Answer: (\w+)"), "Tokyo", "Answer: Kyoto\nAnswer: Tokyo", "correct"),
        (regex_of(r"\d+"), ["12"], "first 3, then 12", "correct"),
        (regex_of(r"Answer: (\w+)"), "Tokyo", "Answer: Kyoto", "wrong"),
    ],
)
def test_width_case_and_space_make_no_difference_to_texts(
    score: ScoreFunction, target: object, text: str, outcome: str
) -> None:
    assert score(item(target), answer(text)).outcome == outcome


@pytest.mark.parametrize("score", [score_exact, score_contains, regex_of("x")])
def test_a_text_without_an_answer_is_wrong_with_its_reason(score: ScoreFunction) -> None:
    assert score(item("x"), answer(" ")).reason == "no_answer"


def test_the_table_of_scorers_and_their_functions_have_the_same_names() -> None:
    assert set(SCORERS) == set(SCORE_FUNCTIONS)


def test_each_scorer_function_takes_the_settings_of_the_table() -> None:
    for name, function in SCORE_FUNCTIONS.items():
        parameters = inspect.signature(function).parameters.values()
        assert {one.name for one in parameters if one.kind is one.KEYWORD_ONLY} == SCORERS[name].settings


@pytest.mark.parametrize("name", sorted(name for name, rules in SCORERS.items() if rules.kind == "generate"))
def test_scorers_of_texts_refuse_likelihoods(name: str) -> None:
    settings = dict.fromkeys(SCORERS[name].settings, "x")
    with pytest.raises(TypeError, match="a text expected, got Choices"):
        scorer_of(Scorer(name, settings))(item("1"), Choices((-1.0,), None, 1, 1))
