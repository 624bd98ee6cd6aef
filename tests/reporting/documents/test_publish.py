"""Tests of the folder to upload: a card that follows the findings, and files that take no disk space."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard

from reporting.charts.draw import draw_charts
from reporting.documents.card import publish as publishing
from reporting.documents.card.header import base_model, licence
from reporting.documents.card.publish import publish
from reporting.documents.view import make_view
from reporting.results_folder import read_findings
from reporting.wording import Lang, Words
from tests.reporting.results_folder import HOSTILE, Change, many_arms, one_arm_failed, with_hostile_names, write_results

GGUFS = ["SmolLM2-135M-Instruct-F16.gguf", "SmolLM2-135M-Instruct-Q4_K_M.gguf", "SmolLM2-135M-Instruct-Q8_0.gguf"]


def published(run: Path, change: Change | None = None, lang: Lang = "en", *, with_files: bool = True) -> list[str]:
    """Publish the changed sample run and return the notices."""
    paths: list[Path] = []

    def placed(comparison: dict[str, Any], analysis: dict[str, Any]) -> None:
        if change is not None:
            change(comparison, analysis)
        for arm in comparison["arms"]:
            arm["path"] = str(run / arm["file"])
            paths.append(run / arm["file"])
        paths.extend(run / matrix["file"] for matrix in comparison["imatrices"])

    results = write_results(run, placed)
    for path in paths if with_files else []:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(path.name.encode())
    findings = read_findings(results)
    view = make_view(findings, Words(lang), run / "charts")
    return list(publish(findings, view, run, run / "charts", run / "publish").notices)


def described(comparison: dict[str, Any], _analysis: dict[str, Any]) -> None:
    model = comparison["models"][0]
    model["labels"] = {"license": "Apache-2.0", "languages": ["en", "../x"]}
    model["origin"] = {"repository": "HuggingFaceTB/SmolLM2-135M-Instruct", "commit": "c0ffee", "file": None}


def card_of(run: Path) -> str:
    return (run / "publish" / "README.md").read_text(encoding="utf-8")


def test_the_folder_holds_the_files_without_copies(tmp_path: Path) -> None:
    assert published(tmp_path) == []
    folder = tmp_path / "publish"
    names = sorted(path.name for path in folder.iterdir())
    (matrix,) = [path.name for path in (tmp_path / "imatrix").iterdir()]
    assert names == sorted(["README.md", matrix, *GGUFS])
    for name in GGUFS:
        (original,) = tmp_path.glob(f"artifacts/*/{name}")
        assert os.path.samefile(original, folder / name)


def test_files_are_copied_if_links_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise OSError("not supported")

    source, target = tmp_path / "a.gguf", tmp_path / "b.gguf"
    source.write_bytes(b"weights")
    monkeypatch.setattr(os, "link", refused)
    publishing.link_or_copy(source, target)
    assert target.is_symlink()
    target.unlink()
    monkeypatch.setattr(os, "symlink", refused)
    publishing.link_or_copy(source, target)
    assert not target.is_symlink()
    assert target.read_bytes() == b"weights"


def test_publishing_again_replaces_the_file(tmp_path: Path) -> None:
    old, new, target = tmp_path / "old", tmp_path / "new", tmp_path / "target"
    old.write_bytes(b"old")
    new.write_bytes(b"new")
    for source in (old, new, new):
        publishing.link_or_copy(source, target)
        assert os.path.samefile(source, target)
    assert old.read_bytes() == b"old"


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    notices = published(tmp_path, with_files=False)
    assert len(notices) == 4
    assert all("is not where the results say" in notice for notice in notices)
    assert [path.name for path in (tmp_path / "publish").iterdir()] == ["README.md"]


def test_the_hub_reads_the_header(tmp_path: Path) -> None:
    published(tmp_path, described)
    data = ModelCard(card_of(tmp_path)).data.to_dict()
    assert data["license"] == "apache-2.0"
    assert data["base_model"] == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert data["base_model_relation"] == "quantized"
    assert data["language"] == ["en"]
    assert data["library_name"] == "gguf"
    assert data["tags"] == ["gguf", "llama.cpp", "quantized", "imatrix"]


def test_unknown_fields_are_left_out_of_the_header(tmp_path: Path) -> None:
    published(tmp_path)
    header = yaml.safe_load(card_of(tmp_path).split("---\n")[1])
    assert not {"license", "base_model", "language"} & set(header)
    assert "names no licence" in card_of(tmp_path)


def test_a_licence_unknown_to_the_hub_becomes_other() -> None:
    assert licence({"license": "my-licence", "license_link": "https://example.org/l"}) == {
        "license": "other",
        "license_name": "my-licence",
        "license_link": "https://example.org/l",
    }
    assert "license_link" not in licence({"license": "mine", "license_link": "javascript:x"})
    assert licence({}) == {}


def test_the_base_model_must_be_a_repository_of_the_hub() -> None:
    assert base_model({"labels": {"repository": "https://huggingface.co/a/b"}}) == "a/b"
    assert base_model({"labels": {"repository": "https://example.org/a/b"}}) is None
    assert base_model({"origin": None}) is None


def test_the_card_recommends_files_and_gives_the_commands_that_make_them(tmp_path: Path) -> None:
    published(tmp_path, described)
    card = card_of(tmp_path)
    (row,) = [line for line in card.splitlines() if line.startswith("| SmolLM2-135M-Instruct-Q4_K_M.gguf |")]
    assert (
        "| worse<br>unscored records: 19 / 208 | saving memory, at a loss of quality shown to exceed the margin |"
        in row
    )
    assert "52.1%<br>[37.0, 66.9]" in card
    assert re.search(
        r"python -m jobs\.quantize --model HuggingFaceTB/SmolLM2-135M-Instruct@c0ffee --imatrix default-\w{8}\.gguf"
        r" --formats q4_k_m --output \.\nllama-cli -m SmolLM2-135M-Instruct-Q4_K_M\.gguf",
        card,
    )
    assert "calibration_ja.txt" in card
    assert "@article{wilson1927," in card
    assert "already quantized as `Q4_1`" in card


def test_no_file_is_recommended_without_a_verdict(tmp_path: Path) -> None:
    def without_verdicts(_comparison: dict[str, Any], analysis: dict[str, Any]) -> None:
        for name in ("verdicts", "selections", "out_of_order"):
            analysis[name] = []
        for row in analysis["comparisons"]:
            del row["verdict"]

    published(tmp_path, without_verdicts)
    assert card_of(tmp_path).count("| not compared with a reference |") == 2
    assert "no worse" not in card_of(tmp_path)


def test_the_command_contains_the_budget(tmp_path: Path) -> None:
    def budgeted(comparison: dict[str, Any], _analysis: dict[str, Any]) -> None:
        use = {"budget_bytes": 11, "spent_bytes": 11, "base_bytes": 10, "tensors": 9, "added_bpw": 0.5, "raised": 7}
        use |= {"lowered": 0, "control_seed": 5, "measuring_seconds": 1.0, "predicted_error": 1e-5, "bound": 1e-5}
        use |= {"predicted_error_base": 1e-5, "predicted_error_control": 1e-5}
        comparison["arms"][1]["budget"] = use | {"name": "tbpw4.5", "control": True}
        comparison["arms"][2] |= {"budget": use | {"name": "phigh", "control": False}, "recipe": "q4_k_m+phigh"}

    published(tmp_path, budgeted)
    assert "--formats q4_k_m --output . --protection-level high --no-controls" in card_of(tmp_path)
    assert not (tmp_path / "publish" / GGUFS[2]).exists()  # a control is for comparing


def test_the_card_contains_custom_recipes(tmp_path: Path) -> None:
    own = {"method": "q4_k_m", "bits": None, "output": "q6_k", "tensors": {r"blk\.0\..*": "q8_0"}, "protection": "none"}
    overrides = [{"tensors": "output tensor", "type": "q6_k"}, {"tensors": r"blk\.0\..*", "type": "q8_0"}]

    def owned(comparison: dict[str, Any], _analysis: dict[str, Any]) -> None:
        comparison["arms"][1] |= {"recipe": "q8_0_l", "method": "q8_0"}  # a publisher's name
        comparison["arms"][2] |= {"recipe": "mine", "overrides": overrides}

    def configured(comparison: dict[str, Any], analysis: dict[str, Any]) -> None:
        owned(comparison, analysis)
        comparison["settings"]["recipes"] = {"mine": own}

    for number, change in enumerate((owned, configured)):
        published(tmp_path / str(number), change)
        card = card_of(tmp_path / str(number))
        assert "--formats mine --output . --config recipes.yaml" in card
        assert "--formats q8_0_l --output .\n" in card
        (text,) = re.findall(r"^(recipes:.*?)^```", card, flags=re.MULTILINE | re.DOTALL)
        expected = {"method": "q4_k_m", "output": "q6_k", "tensors": {r"blk\.0\..*": "q8_0"}}
        assert yaml.safe_load(text) == {"recipes": {"mine": expected}}


def test_the_card_gives_three_ways_to_run_a_file(tmp_path: Path) -> None:
    published(tmp_path)
    card = card_of(tmp_path)
    assert "llama-cli -m SmolLM2-135M-Instruct-Q8_0.gguf\nllama-server -m SmolLM2-135M-Instruct-Q8_0.gguf" in card
    assert "Llama(model_path='SmolLM2-135M-Instruct-Q8_0.gguf', n_ctx=4096)" in card


def test_one_recipe_with_two_matrices_gives_two_names(tmp_path: Path) -> None:
    def doubled(comparison: dict[str, Any], _analysis: dict[str, Any]) -> None:
        plain = comparison["arms"][2]
        comparison["arms"].append(
            plain | {"name": "q4_k_m+en", "imatrix": None, "file": f"other/{Path(plain['file']).name}"}
        )

    published(tmp_path, doubled)
    names = {path.name for path in (tmp_path / "publish").glob("*Q4*")} | {
        path.name for path in (tmp_path / "publish").glob("*q4*")
    }
    assert names == {"SmolLM2-135M-Instruct-q4_k_m.gguf", "SmolLM2-135M-Instruct-q4_k_m+en.gguf"}


def test_several_models_get_one_folder_per_model(tmp_path: Path) -> None:
    published(tmp_path, many_arms)
    assert {path.name for path in (tmp_path / "publish").iterdir()} == {"SmolLM2-135M-Instruct", "large"}
    assert "# large GGUF" in (tmp_path / "publish" / "large" / "README.md").read_text(encoding="utf-8")


def test_a_failed_arm_is_not_published(tmp_path: Path) -> None:
    published(tmp_path, one_arm_failed)
    assert not list((tmp_path / "publish").glob("*Q4_K_M*"))


@pytest.mark.parametrize(
    ("lang", "there", "absent"), [("ja", "どれを使うか", "Which file"), ("en", "Which file", "どれを")]
)
def test_a_card_in_one_language(tmp_path: Path, lang: Lang, there: str, absent: str) -> None:
    published(tmp_path, lang=lang)
    assert there in card_of(tmp_path)
    assert absent not in card_of(tmp_path)


def test_hostile_names_are_inert_in_the_card(tmp_path: Path) -> None:
    def hostile(comparison: dict[str, Any], analysis: dict[str, Any]) -> None:
        with_hostile_names(comparison, analysis)
        for arm in comparison["arms"]:
            arm["model"] = comparison["models"][0]["name"]
        comparison["models"][0]["labels"] = {"license": "x\n---\n# hi", "languages": [HOSTILE]}
        comparison["imatrices"][0]["texts"][0]["name"] = HOSTILE
        comparison["arms"][2]["recipe"] = "q4_k_m; rm -rf ~\n```\n# heading"

    published(tmp_path, hostile)
    card = card_of(tmp_path)
    data = ModelCard(card).data.to_dict()
    assert data["license_name"] == "x --- # hi"
    body = card.split("\n---\n", 1)[1]
    outside = re.sub(r"^(`{3,})\n.*?^\1$", "", body, flags=re.DOTALL | re.MULTILINE)
    assert "<script" not in outside
    assert "](http" not in outside
    assert "\x1b" not in card
    assert "\u202e" not in card
    assert not re.search(r"^# heading", outside, re.MULTILINE)


def test_the_charts_are_in_the_folder(tmp_path: Path) -> None:
    results = write_results(tmp_path)
    draw_charts(results, tmp_path / "charts", "en")
    findings = read_findings(results)
    publish(
        findings,
        make_view(findings, Words("en"), tmp_path / "charts"),
        tmp_path,
        tmp_path / "charts",
        tmp_path / "publish",
    )
    for link in re.findall(r"\]\((charts/\w+\.png)\)", card_of(tmp_path)):
        assert (tmp_path / "publish" / link).is_file()
