"""Tests of the folder to upload: a card that follows the findings, and files that take no disk space."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard

from conf.schema.pipeline import Language
from reporting.charts.draw import draw_charts
from reporting.documents.card import publish as publishing
from reporting.documents.card.commands import running
from reporting.documents.card.header import base_model, licence
from reporting.documents.card.publish import publish
from reporting.documents.card.recommendation import recommendation
from reporting.documents.view import make_view
from reporting.results_folder import Findings, read_findings
from reporting.wording import Lang, Words, languages
from tests.reporting.pooled_run import NOTHING_LOST, Scores, flipped, pooled_results
from tests.reporting.results_folder import HOSTILE, Change, many_arms, one_arm_failed, with_hostile_names, write_results
from tests.reporting.sample_run import sample_run

GGUFS = ["SmolLM2-135M-Instruct-F16.gguf", "SmolLM2-135M-Instruct-Q4_K_M.gguf", "SmolLM2-135M-Instruct-Q8_0.gguf"]


def published(run: Path, change: Change | None = None, lang: Language = "en", *, with_files: bool = True) -> list[str]:
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
    views = [make_view(findings, Words(one), run / "charts", lang) for one in languages(lang)]
    return list(publish(findings, views, run, run / "charts", run / "publish").notices)


def described(comparison: dict[str, Any], _analysis: dict[str, Any]) -> None:
    model = comparison["models"][0]
    model["labels"] = {"license": "Apache-2.0", "languages": ["en", "../x"]}
    model["origin"] = {"repository": "HuggingFaceTB/SmolLM2-135M-Instruct", "commit": "c0ffee", "file": None}


def card_of(run: Path) -> str:
    return (run / "publish" / "README.md").read_text(encoding="utf-8")


def for_publisher(run: Path) -> str:
    return (run / "PUBLISHING.md").read_text(encoding="utf-8")


def test_the_folder_holds_the_files_without_copies(tmp_path: Path) -> None:
    assert published(tmp_path) == []
    folder = tmp_path / "publish"
    names = sorted(path.name for path in folder.iterdir())
    assert names == sorted(["README.md", "SmolLM2-135M-Instruct-imatrix.gguf", *GGUFS])
    assert (tmp_path / "PUBLISHING.md").is_file()
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
    assert "names no licence" in for_publisher(tmp_path) and "as base_model" in for_publisher(tmp_path)
    assert "names no licence" not in card_of(tmp_path) and "base_model" not in card_of(tmp_path)


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


def test_the_card_begins_with_the_verdict_box_and_links_the_files(tmp_path: Path) -> None:
    published(tmp_path, described)
    card = card_of(tmp_path)
    body = card.split("\n---\n", 1)[1].strip().splitlines()
    link = "[SmolLM2-135M-Instruct-F16.gguf](SmolLM2-135M-Instruct-F16.gguf)"
    assert body[0] == "# SmolLM2-135M-Instruct GGUF"
    assert body[2] == (
        "> **Keep f16 (the Q4_1 source, dequantized): no other file is shown to be no worse (1 of 2 is undecided).** "
        f"File: {link}"
    )
    (row,) = [line for line in body if line.startswith("| [SmolLM2-135M-Instruct-Q4_K_M.gguf](")]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1:3] == ["100.6 MiB", "6.27"]
    assert cells[4] == "−6.6 pp<br>[−14.0, +0.4]<br>79 items, 22 unscored"
    assert cells[3] == (
        "worse: loses more than the margin on perplexity_wikitext2, perplexity_ja_wiki; only where memory decides"
        "<br>unscored records: 19 / 208"
    )
    assert "52.1%<br>[37.0, 66.9]" in card
    assert "[SmolLM2-135M-Instruct-imatrix.gguf](SmolLM2-135M-Instruct-imatrix.gguf)" in card
    assert "calibration_ja.txt" in card
    assert "already quantized as `Q4_1`" in card


def test_what_concerns_the_publisher_stands_beside_the_folder(tmp_path: Path) -> None:
    published(tmp_path, described)
    notes = for_publisher(tmp_path)
    make = (
        "python -m jobs.quantize --model HuggingFaceTB/SmolLM2-135M-Instruct@c0ffee"
        " --imatrix SmolLM2-135M-Instruct-imatrix.gguf --formats q4_k_m --output ."
    )
    assert make in notes and "jobs.quantize" not in card_of(tmp_path)
    assert "OWNER/SmolLM2-135M-Instruct-GGUF" in notes
    assert "what the source model's file says: `Apache-2.0`" in notes.replace("apache", "Apache")
    digests = re.findall(r"sha256 `(\w{64})`", notes)
    assert len(digests) == 6 and not any(digest in card_of(tmp_path) for digest in digests)
    assert "The model was given as Q4_1" in notes and "The model was given as Q4_1" not in card_of(tmp_path)


SAME = {"gsm8k": flipped(4000, 0, 0), "arc_challenge": flipped(4000, 0, 0)}
"""Enough items to call an arm that loses nothing "no worse" on each benchmark."""
TEXT = "perplexity_wikitext2"


@pytest.mark.parametrize(
    ("scores", "tiers", "expected"),
    [
        (SAME, {}, "no worse than f16 on every benchmark; the smallest such file"),
        (
            NOTHING_LOST,
            {},
            "no worse than f16 on average; undecided by themselves: math",
        ),
        (
            SAME | {"math": flipped(500, 60, 0)},
            {},
            "worse: loses more than the margin on math; only where memory decides",
        ),
        (
            SAME | {"math": flipped(500, 5, 5)},
            {"inform": ["math"]},
            f"no worse than f16 on each of gsm8k, arc_challenge, {TEXT}; the smallest such file",
        ),
        (
            SAME | {"math": flipped(500, 5, 5)},
            {"each": [TEXT], "pooled": ["gsm8k", "math", "arc_challenge"]},
            f"no worse than f16 on {TEXT} and on average over gsm8k, arc_challenge, math; the smallest such file",
        ),
    ],
)
def test_a_file_is_recommended_as_far_as_its_verdict_goes(
    scores: Scores, tiers: dict[str, list[str]], expected: str
) -> None:
    results = pooled_results(sample_run(), scores, **({"tiers": tiers} if tiers else {}))
    findings = Findings(results.comparison, results.analysis)
    assert recommendation(findings, Words("en"), findings.arms[1]) == expected


def test_no_file_is_recommended_without_a_verdict(tmp_path: Path) -> None:
    def without_verdicts(_comparison: dict[str, Any], analysis: dict[str, Any]) -> None:
        for name in ("verdicts", "selections", "out_of_order"):
            analysis[name] = []
        for row in analysis["comparisons"]:
            del row["verdict"]

    published(tmp_path, without_verdicts)
    assert card_of(tmp_path).count("| no verdict |") == 2
    assert "no worse" not in card_of(tmp_path).split("## Glossary")[0]


def test_the_command_contains_the_budget(tmp_path: Path) -> None:
    def budgeted(comparison: dict[str, Any], _analysis: dict[str, Any]) -> None:
        use = {"budget_bytes": 11, "spent_bytes": 11, "base_bytes": 10, "tensors": 9, "added_bpw": 0.5, "raised": 7}
        use |= {"lowered": 0, "control_seed": 5, "measuring_seconds": 1.0, "predicted_error": 1e-5, "bound": 1e-5}
        use |= {"predicted_error_base": 1e-5, "predicted_error_control": 1e-5}
        comparison["arms"][1]["budget"] = use | {"name": "tbpw4.5", "control": True}
        comparison["arms"][2] |= {"budget": use | {"name": "phigh", "control": False}, "recipe": "q4_k_m+phigh"}

    published(tmp_path, budgeted)
    assert "--formats q4_k_m --output . --protection-level high --no-controls" in for_publisher(tmp_path)
    assert not (tmp_path / "publish" / GGUFS[2]).exists()  # a control is for comparing


def test_the_publisher_gets_custom_recipes(tmp_path: Path) -> None:
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
        card = for_publisher(tmp_path / str(number))
        assert "--formats mine --output . --config recipes.yaml" in card
        assert "--formats q8_0_l --output .\n" in card
        (text,) = re.findall(r"^(recipes:.*?)^```", card, flags=re.MULTILINE | re.DOTALL)
        expected = {"method": "q4_k_m", "output": "q6_k", "tensors": {r"blk\.0\..*": "q8_0"}}
        assert yaml.safe_load(text) == {"recipes": {"mine": expected}}


def test_the_card_says_how_to_fetch_and_run_a_file(tmp_path: Path) -> None:
    published(tmp_path)
    card = card_of(tmp_path)
    file = "SmolLM2-135M-Instruct-F16.gguf"
    for command in (
        f"hf download OWNER/SmolLM2-135M-Instruct-GGUF {file} --local-dir .",
        f"llama-cli -m {file}\nllama-server -m {file} -c 4096",
        f"ollama run hf.co/OWNER/SmolLM2-135M-Instruct-GGUF:{file}",
        f"lms import {file}",
    ):
        assert f"\n{command}\n" in card


def test_ollama_imports_a_file_whose_name_is_no_tag() -> None:
    assert running("OWNER/m-GGUF", "m-q4_k_m+en's.gguf").ollama == (
        """echo 'FROM ./m-q4_k_m+en'"'"'s.gguf' > Modelfile\n"""
        "ollama create m-q4_k_m-en-s -f Modelfile\nollama run m-q4_k_m-en-s"
    )


@pytest.mark.parametrize(
    ("chat", "shown"),
    [
        (
            {"example": "<|im_start|>user\n{prompt}```\n# x", "template": "model"},
            "\n````\n<|im_start|>user\n{prompt}```",
        ),
        ({"example": None, "template": "none"}, "prompts are plain text"),
        ({"template": "model"}, "see the chat template in the model's file"),
        ({"example": "{prompt}", "template": "configuration"}, "The evaluation used another chat template"),
    ],
)
def test_the_card_shows_the_prompt_format_if_it_is_known(tmp_path: Path, chat: dict[str, Any], shown: str) -> None:
    def chatting(comparison: dict[str, Any], _analysis: dict[str, Any]) -> None:
        comparison["models"][0]["chat"] = {"system": None, "template_sha256": None, **chat}

    published(tmp_path, chatting)
    assert shown in card_of(tmp_path)


def test_the_card_cites_the_model_llama_cpp_and_this_tool_only(tmp_path: Path) -> None:
    def authored(comparison: dict[str, Any], _analysis: dict[str, Any]) -> None:
        labels = {"author": "A}, title = {x\\input{y}", "repository": "https://huggingface.co/org/m", "name": "M 1"}
        comparison["models"][0]["labels"] = labels

    published(tmp_path / "known", authored)
    published(tmp_path / "unknown")
    entries = re.findall(r"^@\w+\{(\w+),", card_of(tmp_path / "known"), re.MULTILINE)
    assert entries == ["model", "llama_cpp2023", "quant_assay"]
    known = "  author = {{A , title = x input y}},\n  title = {{M 1}},\n  url = {https://huggingface.co/org/m}\n}"
    assert known in card_of(tmp_path / "known")
    assert re.findall(r"^@\w+\{(\w+),", card_of(tmp_path / "unknown"), re.MULTILINE) == ["llama_cpp2023", "quant_assay"]


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
    assert "`publish/large`" in for_publisher(tmp_path)
    assert "# large GGUF" in (tmp_path / "publish" / "large" / "README.md").read_text(encoding="utf-8")


def test_a_failed_arm_is_not_published(tmp_path: Path) -> None:
    published(tmp_path, one_arm_failed)
    assert not list((tmp_path / "publish").glob("*Q4_K_M*"))


@pytest.mark.parametrize(
    ("lang", "there", "absent"), [("ja", "## ダウンロード", "## Download"), ("en", "## Download", "## ダウンロード")]
)
def test_a_card_in_one_language(tmp_path: Path, lang: Lang, there: str, absent: str) -> None:
    published(tmp_path, lang=lang)
    assert there in card_of(tmp_path) and absent not in card_of(tmp_path)
    assert not list(tmp_path.rglob("README.*.md"))


def test_a_card_in_two_languages_is_two_files_that_link_each_other(tmp_path: Path) -> None:
    published(tmp_path, lang="both")
    japanese = (tmp_path / "publish" / "README.ja.md").read_text(encoding="utf-8")
    assert "English | [日本語](README.ja.md)" in card_of(tmp_path) and "## Download" in card_of(tmp_path)
    assert japanese.startswith("# SmolLM2-135M-Instruct GGUF\n\n日本語 | [English](README.md)\n")
    assert "## ダウンロード" in japanese
    assert (tmp_path / "PUBLISHING.ja.md").is_file() and (tmp_path / "PUBLISHING.md").is_file()


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
    for text in (card.split("\n---\n", 1)[1], for_publisher(tmp_path)):
        outside = re.sub(r"^(`{3,})\n.*?^\1$", "", text, flags=re.DOTALL | re.MULTILINE)
        assert "<script" not in outside
        assert "](http" not in outside
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert not re.search(r"^# heading", outside, re.MULTILINE)


CARD = """
# SmolLM2-135M-Instruct GGUF
## Files
table: File; Size; Bits/weight; Recommended for; accuracy on average over gsm8k, arc_challenge; \
perplexity_wikitext2 (perplexity); perplexity_ja_wiki (perplexity)
## Download
## Running
## Prompt format
## Results
table: Arm; GSM8K (grade-school mathematics); ARC-Challenge (science, multiple choice); \
Perplexity (WikiText-2, English); Perplexity (Japanese Wikipedia)
### By category
table: Category; Benchmarks; f16; q8_0; q4_k_m
## Importance matrix
## Notes and limitations
## Licence and citation
## Glossary
"""
PUBLISHING = """
# Before you publish
## SmolLM2-135M-Instruct
### How the files were made
## Notices
## Versions
table: Component; Version
"""


def _outline(text: str) -> list[str]:
    """Return the headings as written, and the first lines of the headers of each table."""
    lines = text.splitlines()
    found = []
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        if re.match("#{1,3} ", line):
            found.append(line)
        elif below.startswith("| ---"):
            headers = [cell.strip().partition("<br>")[0] for cell in line.strip("|").split("|")]
            found.append("table: " + "; ".join(headers))
    return found


def test_headings_and_tables_are_in_order(tmp_path: Path) -> None:
    published(tmp_path)
    assert _outline(card_of(tmp_path)) == CARD.strip().splitlines()
    assert _outline(for_publisher(tmp_path)) == PUBLISHING.strip().splitlines()


def test_the_charts_are_in_the_folder(tmp_path: Path) -> None:
    results = write_results(tmp_path)
    draw_charts(results, tmp_path / "charts", "en")
    findings = read_findings(results)
    publish(
        findings,
        [make_view(findings, Words("en"), tmp_path / "charts")],
        tmp_path,
        tmp_path / "charts",
        tmp_path / "publish",
    )
    for link in re.findall(r"\]\((charts/\w+\.png)\)", card_of(tmp_path)):
        assert (tmp_path / "publish" / link).is_file()
