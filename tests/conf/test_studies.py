"""Every study is a configuration that needs only a model and the data."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from actors.orchestrator.sources.naming import owners_of_arms
from conf.load import load, published_recipes
from conf.mixes import shipped_mixes

STUDIES = sorted((Path(__file__).parents[2] / "conf" / "studies").glob("*.yaml"))


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_a_study_needs_only_a_model_to_load(path: Path) -> None:
    config = load(path, {"models": [{"name": "m", "path": "m.gguf"}]})
    assert set(config.imatrix) <= {"none", *shipped_mixes()}
    assert f"--config conf/studies/{path.name}" in path.read_text(encoding="utf-8")


def test_the_study_of_nine_models_compares_plain_q4_k_m_by_a_fixed_rubric_and_margin() -> None:
    (path,) = [path for path in STUDIES if path.stem == "nine_models"]
    config = load(path, {"models": [{"name": "m", "path": "m.gguf"}]})
    assert (config.quantizations, config.imatrix) == (("f16", "q4_k_m"), ("none",))
    assert config.benchmarks == ("elyza",)
    assert config.judging.rubrics == {"elyza": "elyza_2023"}
    assert config.statistics.margins.judged == 0.2


def test_the_entries_that_the_study_of_nine_models_shows_are_valid(tmp_path: Path) -> None:
    (path,) = [path for path in STUDIES if path.stem == "nine_models"]
    lines = path.read_text(encoding="utf-8").splitlines()
    shown = [line.removeprefix("# ") for line in lines if re.match(r"# (models:|arms:|chat:|  - |  [ab]-\d+b: )", line)]
    copy = tmp_path / "copy.yaml"
    copy.write_text("\n".join([*lines, *shown]), encoding="utf-8")
    config = load(copy, {})
    assert config.quantizations_of("b-70b") == ()
    assert config.quantizations_of("c-13b") == ("f16",)
    assert config.entry("d-7b").reference == "bf16"
    assert config.entry("e-sft").stage == "sft"
    assert owners_of_arms(config) == {"a-7b~published": "a-7b"}
    assert set(config.chat) == {"a-7b", "b-70b"}


def test_the_multilingual_study_is_a_complete_grid_with_its_control() -> None:
    (path,) = [path for path in STUDIES if path.stem == "multilingual_imatrix"]
    config = load(path, {"models": [{"name": "m", "path": "m.gguf"}]})
    assert config.imatrix == ("none", "en", "en5", "en1-ja4")
    assert config.quantizations == ("f16", "q4_k_m", "q4_k_l", "q4_k_m-fp16")
    assert {"q4_k_l"} <= set(published_recipes().recipes)
    assert "-fp16" in published_recipes().suffixes
    assert config.benchmarks == ("perplexity_wikitext2", "perplexity_ja_wiki")
    assert config.limit is not None  # the same number of chunks of each text
