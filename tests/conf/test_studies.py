"""Every study is a configuration that needs only a model and the data."""

from __future__ import annotations

from pathlib import Path

import pytest

from conf.load import load, published_recipes
from conf.mixes import shipped_mixes

STUDIES = sorted((Path(__file__).parents[2] / "conf" / "studies").glob("*.yaml"))


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_a_study_needs_only_a_model_to_load(path: Path) -> None:
    config = load(path, {"models": [{"name": "m", "path": "m.gguf"}]})
    assert set(config.imatrix) <= {"none", *shipped_mixes()}
    assert f"--config conf/studies/{path.name}" in path.read_text(encoding="utf-8")


def test_the_multilingual_study_is_a_complete_grid_with_its_control() -> None:
    (path,) = [path for path in STUDIES if path.stem == "multilingual_imatrix"]
    config = load(path, {"models": [{"name": "m", "path": "m.gguf"}]})
    assert config.imatrix == ("none", "en", "en5", "en1-ja4")
    assert config.quantizations == ("f16", "q4_k_m", "q4_k_l", "q4_k_m-fp16")
    assert {"q4_k_l"} <= set(published_recipes().recipes)
    assert "-fp16" in published_recipes().suffixes
    assert config.benchmarks == ("perplexity_wikitext2", "perplexity_ja_wiki")
    assert config.limit is not None  # the same number of chunks of each text
