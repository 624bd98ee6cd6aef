"""Which judges the flags name."""

from __future__ import annotations

from pathlib import Path

import pytest

from conf.faults import BadInput
from jobs._judges import judges_of


def test_two_models_at_one_server_are_two_judges() -> None:
    url = "http://h/v1"
    assert judges_of([url], ["org/big-13b", "b=other"]) == [
        {"name": "big-13b", "model": "org/big-13b", "url": url},
        {"name": "b", "model": "other", "url": url},
    ]


def test_models_and_servers_belong_together_by_position() -> None:
    found = judges_of(["http://a/v1", "http://b/v1"], ["x", "y"])
    assert [(one["model"], one["url"]) for one in found] == [("x", "http://a/v1"), ("y", "http://b/v1")]


def test_a_server_without_a_model_is_named_after_its_place() -> None:
    assert judges_of(["http://u:p@localhost:8000/v1"], []) == [
        {"name": "localhost-8000", "url": "http://u:p@localhost:8000/v1"}
    ]


def test_a_gguf_needs_no_server_and_may_stand_beside_one(tmp_path: Path) -> None:
    gguf = tmp_path / "judge-Q8_0.gguf"
    gguf.touch()
    own = {"name": "judge", "model": str(gguf)}
    assert judges_of([], [str(gguf)]) == [own]
    assert judges_of(["http://h/v1"], [str(gguf), "m"]) == [own, {"name": "m", "model": "m", "url": "http://h/v1"}]
    assert judges_of(["http://h/v1"], [str(gguf)]) == [{"name": "h", "url": "http://h/v1"}, own]
    # A server may call its model by a file's name that is not here.
    assert judges_of(["http://h/v1"], ["m.gguf"]) == [{"name": "m", "model": "m.gguf", "url": "http://h/v1"}]


def test_numbers_that_do_not_fit_are_refused() -> None:
    with pytest.raises(BadInput, match="3 models for 2 servers"):
        judges_of(["http://a/v1", "http://b/v1"], ["x", "y", "z"])
