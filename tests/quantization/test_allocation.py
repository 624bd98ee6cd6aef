"""The selection is the best that fits. On small tables it is compared with every possible selection."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.quantization.allocation import Option, select_cheapest, smallest_bytes, spread


@st.composite
def tables(draw: st.DrawFn) -> list[list[Option]]:
    options = st.lists(st.integers(1, 40), min_size=1, max_size=4, unique=True)
    cost = st.floats(0, 100, allow_nan=False).map(lambda value: round(value, 3))
    made = draw(st.lists(options, min_size=1, max_size=5))
    return [[Option(n_bytes, draw(cost)) for n_bytes in sorted(one)] for one in made]


def least_cost(table: list[list[Option]], budget: int) -> float:
    """Return the lowest cost of all selections that fit."""
    return min(
        math.fsum(option.cost for option in taken)
        for taken in itertools.product(*table)
        if sum(option.n_bytes for option in taken) <= budget
    )


@given(tables(), st.integers(0, 120))
def test_selection_costs_no_more_than_any_other_that_fits(table: list[list[Option]], room: int) -> None:
    budget = smallest_bytes(table) + room
    choice = select_cheapest(table, budget)
    taken = [options[index] for options, index in zip(table, choice.picked, strict=True)]
    assert choice.n_bytes == sum(option.n_bytes for option in taken) <= budget
    assert choice.cost == pytest.approx(least_cost(table, budget), abs=1e-9)
    assert choice.bound <= choice.cost


@given(tables(), st.integers(0, 60), st.integers(0, 60), st.sampled_from([2**26, 60, 1]))
def test_a_larger_budget_is_never_worse(table: list[list[Option]], room: int, more: int, max_cells: int) -> None:
    budget = smallest_bytes(table) + room
    less = select_cheapest(table, budget, max_cells=max_cells)
    assert select_cheapest(table, budget + more, max_cells=max_cells).cost <= less.cost
    assert less.n_bytes <= budget


@given(tables(), st.integers(0, 60))
def test_the_bound_holds_with_coarse_units(table: list[list[Option]], room: int) -> None:
    budget = smallest_bytes(table) + room
    choice = select_cheapest(table, budget, max_cells=20)
    best = least_cost(table, budget)
    assert choice.bound - 1e-9 <= best <= choice.cost + 1e-9


def test_the_bound_is_the_relaxed_optimum() -> None:
    # Gain per byte: 4 for a's step, 1 for b's. Of 15 spare bytes a takes 10; half of b's step remains: 50 - 40 - 5.
    table = [[Option(10, 45.0), Option(20, 5.0)], [Option(10, 5.0), Option(20, -5.0)]]
    choice = select_cheapest(table, 35)
    assert (choice.picked, choice.cost, choice.bound) == ((1, 0), 10.0, 5.0)


def test_a_budget_too_small_for_anything_is_refused() -> None:
    table = [[Option(10, 1.0), Option(20, 0.0)]]
    with pytest.raises(ValueError, match="smallest"):
        select_cheapest(table, 9)
    with pytest.raises(ValueError, match="smallest"):
        spread(table, [1], 9, np.random.default_rng(0))


@given(tables(), st.integers(0, 120), st.integers(0, 9), st.data())
def test_the_control_fills_the_budget_and_ignores_costs(
    table: list[list[Option]], room: int, seed: int, data: st.DataObject
) -> None:
    start = [data.draw(st.integers(0, len(options) - 1)) for options in table]
    budget = smallest_bytes(table) + room
    picked = spread(table, start, budget, np.random.default_rng(seed))
    used = sum(options[index].n_bytes for options, index in zip(table, picked, strict=True))
    steps = [
        options[index + 1].n_bytes - options[index].n_bytes
        for options, index in zip(table, picked, strict=True)
        if index + 1 < len(options)
    ]
    assert used <= budget
    assert all(used + step > budget for step in steps)
    other = [[Option(option.n_bytes, -option.cost) for option in options] for options in table]
    assert spread(other, start, budget, np.random.default_rng(seed)) == picked


def test_the_control_never_goes_below_its_start_if_the_start_fits() -> None:
    table = [[Option(n, 0.0) for n in (10, 20, 30)] for _ in range(8)]
    picked = spread(table, [1] * 8, 8 * 20 + 45, np.random.default_rng(0))
    assert sorted(picked) == [1, 1, 1, 1, 2, 2, 2, 2]


def test_a_realistic_table_is_solved_to_within_one_percent_of_its_bound() -> None:
    rng = np.random.default_rng(1)
    bits = [2.625, 3.4375, 4.5, 5.5, 6.5625, 8.5, 16.0]
    sizes = rng.choice([4096 * 4096, 4096 * 1024, 4096 * 14336], 224)
    table = [[Option(int(n * b / 8), float(n * rng.uniform(0.5, 2) * 4**-b)) for b in bits] for n in map(int, sizes)]
    choice = select_cheapest(table, int(sizes.sum() * 4.8 / 8))
    assert choice.n_bytes > 0.998 * sizes.sum() * 4.8 / 8
    assert choice.cost <= 1.01 * choice.bound
