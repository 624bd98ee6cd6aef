"""`jobs.visualize` and `jobs.document`: exit codes, places of the files, and one clear message for bad input."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs import document, visualize
from tests.reporting.results_folder import write_results


def test_the_performance_chart_goes_to_the_given_path_and_the_others_beside_it(tmp_path: Path) -> None:
    results = write_results(tmp_path)
    output = tmp_path / "pictures" / "mine.png"
    assert visualize.main(["--results", str(results), "--output", str(output), "--lang", "en"]) == 0
    assert {path.name for path in output.parent.glob("*.png")} == {
        "mine.png",
        "quantization_verdict.png",
        "quantization_efficiency.png",
        "quantization_difference.png",
        "quantization_heatmap.png",
        "quantization_categories.png",
        "answer_lengths.png",
        "answer_length_shifts.png",
        "answer_styles.png",
    }
    assert output.with_suffix(".svg").is_file()
    assert output.with_suffix(".vl.json").is_file()


def test_the_charts_are_in_english_unless_both_languages_are_wanted(tmp_path: Path) -> None:
    results = write_results(tmp_path)
    output = tmp_path / "pictures" / "mine.png"
    assert visualize.parser().parse_args(["--results", "r", "--output", "o"]).lang == "en"
    assert visualize.main(["--results", str(results), "--output", str(output), "--lang", "both"]) == 0
    names = {path.name for path in output.parent.glob("*.png")}
    assert {"mine_ja.png", "mine_en.png", "quantization_verdict_ja.png", "quantization_verdict_en.png"} <= names
    assert "mine.png" not in names


@pytest.mark.parametrize("job", [visualize.main, document.main])
def test_missing_results_give_one_message_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], job: object
) -> None:
    suffix = "png" if job is visualize.main else "pdf"
    assert callable(job)
    code = job(["--results", str(tmp_path / "none.json"), "--output", str(tmp_path / f"x.{suffix}")])
    assert code == 2
    heading, message = capsys.readouterr().err.splitlines()
    assert heading.endswith(": bad input, nothing was started")
    assert "none.json" in message
    assert "Traceback" not in message


@pytest.mark.parametrize(("job", "name"), [(visualize.main, "x.jpg"), (document.main, "x.html")])
def test_an_output_with_another_suffix_is_refused(tmp_path: Path, job: object, name: str) -> None:
    assert callable(job)
    assert job(["--results", "r.json", "--output", str(tmp_path / name)]) == 2


def test_an_output_that_cannot_be_written_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = write_results(tmp_path)
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    assert visualize.main(["--results", str(results), "--output", str(tmp_path / "file" / "x.png")]) == 2
    assert "--output" in capsys.readouterr().err
