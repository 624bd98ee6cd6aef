"""Names keep the letters of every script, and two names stay two."""

from __future__ import annotations

import re

import pytest
from pydantic import ValidationError

from conf.names import ascii_name, composed, spelled_name
from conf.schema.base import PIPELINE_ID
from conf.schema.models import NamedPath
from jobs._named_paths import model_name
from jobs._request import new_pipeline_id


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("東京.gguf", "東京"),
        ("models/大阪-Q4_K_M.gguf", "大阪"),
        ("カ\u3099.gguf", "ガ"),  # NFC
        ("हिन्दी.gguf", "हिन्दी"),
        ("モデル（改）.gguf", "モデル-uff08-改-uff09-"),
        ("my model (1).gguf", "my-model--1-"),
        ("SmolLM2-135M.Q4_1.gguf", "SmolLM2-135M"),
    ],
)
def test_the_name_of_a_model_keeps_its_letters(spec: str, name: str) -> None:
    assert model_name(spec) == name
    assert NamedPath(name=name, path=spec).name == name


def test_names_that_differ_only_in_signs_stay_two() -> None:
    assert len({spelled_name(text) for text in ("改（甲）", "改［甲］", "改「甲」", "改 甲 ")}) == 4


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a\u3000b", "a\u202eb", "a\0", "a:b", "名" * 41, "n" * 240])
def test_names_that_no_file_should_have_are_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        NamedPath(name=name, path="m.gguf")


def test_a_given_name_is_composed() -> None:
    assert composed("カ\u3099") == NamedPath(name="カ\u3099", path="m").name == "ガ"


def test_ids_are_ascii_and_differ_if_the_names_do() -> None:
    ids = {new_pipeline_id(name) for name in ("東京", "大阪", "tokyo")}
    assert len(ids) == 3 and all(re.fullmatch(PIPELINE_ID, one) for one in ids)
    assert ascii_name("tokyo") == "tokyo"
