"""The smallest arm that is no worse, and larger arms that do worse than smaller ones."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stats.selection import Selection, Sized, fixed_sequence, larger_is_worse
from stats.verdict import Verdict

GOOD, BAD, UNKNOWN = Verdict.NO_WORSE, Verdict.WORSE, Verdict.UNDECIDED
arms = st.lists(st.tuples(st.integers(1, 9), st.sampled_from(list(Verdict))).map(tuple), min_size=1, max_size=8).map(
    lambda rows: [Sized(f"arm{place}", size, verdict) for place, (size, verdict) in enumerate(rows)]
)


def test_testing_stops_at_the_first_arm_that_is_not_no_worse() -> None:
    found = fixed_sequence(
        [Sized("q2_k", 2, GOOD), Sized("q8_0", 8, GOOD), Sized("q4_k_m", 4, BAD), Sized("q5_k_m", 5, GOOD)]
    )
    assert found == Selection(("q8_0", "q5_k_m", "q4_k_m"), "q5_k_m", "q4_k_m", ("q2_k",))


def test_an_undecided_arm_stops_the_sequence_too() -> None:
    found = fixed_sequence([Sized("q8_0", 8, UNKNOWN), Sized("q4_k_m", 4, GOOD)])
    assert (found.smallest_no_worse, found.stopped_at) == (None, "q8_0")


def test_all_arms_may_pass_and_there_may_be_no_arms() -> None:
    assert fixed_sequence([Sized("q8_0", 8, GOOD)]) == Selection(("q8_0",), "q8_0", None, ())
    assert fixed_sequence([]) == Selection((), None, None, ())


@given(arms)
def test_the_chosen_arm_and_all_larger_arms_are_no_worse(given_arms: list[Sized]) -> None:
    found = fixed_sequence(given_arms)
    verdicts = {arm.name: arm.verdict for arm in given_arms}
    passed = [name for name in found.tested if name != found.stopped_at]
    assert all(verdicts[name] is GOOD for name in passed)
    assert found.smallest_no_worse == (passed[-1] if passed else None)
    assert sorted((*found.tested, *found.not_reached)) == sorted(verdicts)


def test_a_larger_arm_that_loses_to_a_smaller_one_is_found() -> None:
    rng = np.random.default_rng(1)
    test = larger_is_worse(rng.normal(-0.2, 1.0, size=500), proportion=False)
    assert test is not None
    assert test.interval.high < 0
    assert test.p_value < 0.05
    assert larger_is_worse(rng.normal(0.2, 1.0, size=500), proportion=False) is None


def test_too_little_to_compare_flags_nothing() -> None:
    assert larger_is_worse(np.array([]), proportion=True) is None
    assert larger_is_worse(np.array([-1.0]), proportion=True) is None
    assert larger_is_worse(np.full(5, -0.1), proportion=False) is None
    everything = larger_is_worse(np.full(40, -1.0), proportion=True)
    assert everything is not None
    assert everything.p_value == 0.0
