"""Mathematical answers: what is boxed, what is equal, and that no answer can hang the machine or fill its memory."""

from __future__ import annotations

import time
from collections.abc import Iterator

import psutil
import pytest

from actors.engines import Answer, FinishReason
from actors.evaluation.scorers.boxes import last_boxed
from actors.evaluation.scorers.mathematics import OVER_MEMORY, OVER_TIME, Comparer, Limits, score_mathematics
from actors.items import Generate, Item
from actors.own_process import ProcessNotStarted


@pytest.fixture(scope="module")
def comparer() -> Iterator[Comparer]:
    made = Comparer(Limits(cpu_s=1))
    yield made
    made.close()


def score(target: str, text: str, reason: FinishReason = "eog") -> tuple[str, str | None, str | None]:
    item = Item("i", Generate((), False, (), 8), target, "hash")
    scored = score_mathematics(
        item, Answer(text, rendered_hash=None, prompt_tokens=1, completion_tokens=1, finish_reason=reason)
    )
    return scored.outcome, scored.reason, scored.answer


@pytest.mark.parametrize(
    ("text", "boxed"),
    [
        (r"$\boxed{3}$", "3"),
        (r"first \boxed{1}, then \boxed{\frac{1}{2}}.", r"\frac{1}{2}"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\boxed{\left(3, \frac{\pi}{2}\right)}", r"\left(3, \frac{\pi}{2}\right)"),
        (r"\fbox{7}", "7"),
        (r"\boxed 9$", "9"),
        (r"\boxed{5} and \boxed{6", None),
        (r"\boxed{}", ""),
        ("no box", None),
    ],
)
def test_the_last_box_counts_unless_it_does_not_close(text: str, boxed: str | None) -> None:
    assert last_boxed(text) == boxed


def test_equal_texts_are_right_without_a_comparison_and_no_box_is_wrong() -> None:
    assert score(r"\frac{14}{3}", r"so \boxed{\dfrac{14}{3}}.") == ("correct", None, r"\dfrac{14}{3}")
    assert score("3", "I cannot say") == ("wrong", "no_answer", None)
    assert score("3", r"\boxed{3", "length") == ("wrong", "cut_at_token_limit", None)


@pytest.mark.parametrize(
    ("gold", "given", "equal"),
    [
        (r"\left( 3, \frac{\pi}{2} \right)", r"(3,\pi/2)", True),
        ("p - q", "-q+p", True),
        (r"\frac{14}{3}", "14/3", True),
        ("0.5", r"\frac12", True),
        (r"90^\circ", "90", True),
        (r"\text{Evelyn}", r"\text{Evelyn}", True),
        ("1,2,3", "3,2,1", True),
        (r"\frac{14}{3}", "4.67", False),
        ("p - q", "q - p", False),
        ("3", r"\text{three apples and \{", False),
        ("3", "", False),
    ],
)
def test_answers_are_compared_by_value(gold: str, given: str, equal: bool, comparer: Comparer) -> None:
    assert comparer.compare(gold, given) is equal


def test_an_answer_that_never_ends_is_stopped_and_the_next_is_compared(comparer: Comparer) -> None:
    assert comparer.compare("3", "2^{2^{2^{2^{2^{2}}}}}") == OVER_TIME
    assert comparer.compare("3", "6/2") is True


def test_an_answer_that_fills_the_memory_is_stopped() -> None:
    comparer = Comparer(Limits(cpu_s=20, memory_bytes=4 * 2**20))
    try:
        assert comparer.compare("3", "3.0") is True
        assert comparer.compare("3", r"\begin{pmatrix}" + "1&" * 30_000 + r"\end{pmatrix}") == OVER_MEMORY
        assert comparer.compare("3", "3.0") is True
    finally:
        comparer.close()


def test_a_process_that_hangs_is_killed_after_the_wall_time() -> None:
    comparer = Comparer(Limits(cpu_s=60, wall_s=0.5))
    try:
        assert comparer.compare("3", "2^{2^{2^{2^{2^{2}}}}}") == OVER_TIME
    finally:
        comparer.close()


def test_a_process_that_reads_nothing_any_more_is_killed_after_the_wall_time() -> None:
    before = psutil.Process().children()
    comparer = Comparer(Limits(wall_s=3.0))
    try:
        assert comparer.compare("3", "6/2") is True
        (child,) = [one for one in psutil.Process().children() if one not in before]
        child.suspend()
        started = time.monotonic()
        # Longer than the pipe takes before somebody reads it.
        assert comparer.compare("3", "1+" * 200_000 + "1") == OVER_TIME
        assert time.monotonic() - started < 10
        assert not child.is_running()
        assert comparer.compare("3", "6/2") is True
    finally:
        comparer.close()


def test_a_process_that_does_not_start_is_killed() -> None:
    before = psutil.Process().children()
    with pytest.raises(ProcessNotStarted):
        Comparer(Limits(start_s=0.01)).compare("3", "6/2")
    assert psutil.Process().children() == before


@pytest.mark.parametrize(
    ("gold", "given"), [(r"864 \mbox{ inches}^2", "864"), (r"5.4 \text{ cents}", "5.40"), ("15", r"15\text{ cm}^{2}")]
)
def test_units_at_the_end_do_not_count(gold: str, given: str) -> None:
    assert score(gold, rf"\boxed{{{given}}}")[0] == "correct"


def test_a_text_that_is_not_a_unit_counts() -> None:
    assert score(r"\text{Evelyn}", r"\boxed{\text{Briana}}")[0] == "wrong"
