"""Categories: built-in benchmarks have known ones, custom benchmarks may have any."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.evaluation.benchmarks import BENCHMARKS, find_benchmarks, load
from actors.llama.model import Model
from conf.faults import BadInput
from conf.schema.answers import Sampling
from reporting.categories import TITLES

CAPITALS = 'data: capitals.jsonl\nprompt: "{{ country }}?"\ntarget: city\nscorer: contains\n'


def test_categories_of_built_in_benchmarks_have_titles() -> None:
    """A benchmark that tests several skills at once has no category."""
    named = {name: one.spec.category for name, one in BENCHMARKS.items() if one.spec.category}
    assert set(named.values()) <= TITLES.keys()
    assert named["gsm8k"] == named["math"] == named["mgsm_ja"] == "mathematical_reasoning"
    assert named["arc_challenge"] == "knowledge_qa"
    assert named["perplexity_wikitext2"] == "language_modelling"


def test_a_custom_benchmark_may_have_a_category(tmp_path: Path, tiny: Model) -> None:
    (tmp_path / "capitals.jsonl").write_text('{"id": "jp", "country": "Japan", "city": "Tokyo"}\n')
    path = tmp_path / "capitals.yaml"
    for given, category in (("", None), ("category: geography\n", "geography")):
        path.write_text(CAPITALS + given)
        (benchmark,) = find_benchmarks([str(path)])
        assert load(benchmark, data_dir=None, sampling=Sampling(), vocabulary=tiny).spec.category == category


def test_a_category_is_a_plain_name(tmp_path: Path) -> None:
    path = tmp_path / "capitals.yaml"
    path.write_text(CAPITALS + 'category: "<b>"\n')
    with pytest.raises(BadInput, match="category"):
        find_benchmarks([str(path)])
