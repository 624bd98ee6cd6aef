"""Patterns of users are searched in a process with limits, whichever thread asks."""

from __future__ import annotations

import re
import threading
import time

import pytest

from actors.patterns import Match, PatternLimits, PatternOverLimit, Searcher, searcher

CATASTROPHIC = [
    ("(a+)+$", "a" * 10_000 + "b"),
    ("(a|aa)+$", "a" * 100 + "b"),
    (r"(\w+\s?)*:", "many words " * 20),
    (r"^(([a-z])+.)+[A-Z]([a-z])+$", "a" * 60),
    (r"(.*)*(.*)*(.*)*x", "y" * 100),
]


@pytest.mark.parametrize(("pattern", "text"), CATASTROPHIC)
def test_a_pattern_that_takes_for_ever_is_stopped_in_every_thread(pattern: str, text: str) -> None:
    caught: list[str] = []

    def search() -> None:
        with pytest.raises(PatternOverLimit) as error:
            searcher().find_all(pattern, text)
        caught.append(error.value.limit)
        assert searcher().find_all("b+", "abba")[0].given == "bb"

    thread = threading.Thread(target=search)
    thread.start()
    thread.join(timeout=30)
    assert caught == ["time"]


def test_many_threads_each_get_their_own_matches() -> None:
    found: dict[int, str] = {}

    def search(number: int) -> None:
        for _ in range(20):
            found[number] = searcher().find_all(rf"<({number})>", f"<{number}> " * 3)[-1].given

    threads = [threading.Thread(target=search, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert found == {number: str(number) for number in range(8)}


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("(.)b?", "abcab"),
        ("x", "abc"),
        ("", "ab"),
        ("(?:(a)|b)", "ab"),
        ("é|東", "é東é"),
        (r"\s+", "a\n\u2028 b\x00 c"),
    ],
)
def test_matches_are_those_of_re(pattern: str, text: str) -> None:
    group = 1 if re.compile(pattern).groups else 0
    expected = [Match(match.end(), match[group] or "") for match in re.finditer(pattern, text)]
    assert searcher().find_all(pattern, text) == expected


def test_the_first_pattern_that_is_found_counts() -> None:
    assert searcher().first_found(["blk", "b", "z"], ["blk.0", "ab", "", "zz"]) == [0, 1, None, 2]


def test_the_pattern_that_takes_too_long_is_named() -> None:
    with pytest.raises(PatternOverLimit) as error:
        searcher().first_found(["x", "(a+)+$"], ["a" * 60 + "b"])
    assert error.value.pattern == "(a+)+$"


def test_memory_has_a_limit() -> None:
    limited = Searcher(PatternLimits(cpu_s=20, memory_bytes=2**26))
    with pytest.raises(PatternOverLimit) as error:
        limited.find_all("(?:(a)|b)*", "ab" * 5_000_000)
    assert error.value.limit == "memory"
    assert len(limited.find_all("a", "aa")) == 2
    limited.close()


def test_a_search_costs_little() -> None:
    searcher().find_all("a", "a")
    start = time.perf_counter()
    for number in range(200):
        searcher().find_all(r"(\d+)", f"the answer is {number} " * 20)
    assert time.perf_counter() - start < 5  # 0.02 s on an idle machine
