"""The structure of the charts: what stands where, how high they are, and that no axis leaves what is possible.

Pixels are not compared. What is drawn is in the specification: titles, panels, axes, rows.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import altair as alt
import pytest

from reporting.charts.draw import charts_of
from reporting.charts.layout import MOST_HEIGHT_PX, columns_of, height_of, pages, row_px
from reporting.charts.render import RESOLUTION_PPI, page_stem, render
from reporting.results_folder import read_findings
from reporting.wording import Words
from tests.reporting.charts.drawn import panel_of
from tests.reporting.eight_arms_run import write_eight_arms
from tests.reporting.results_folder import with_hostile_names, with_performance, write_results
from tests.reporting.study_run import write_study

Charts = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Charts]:
    """The pictures in English of a run with eight arms and six benchmarks, of a small one and of a study."""
    base = tmp_path_factory.mktemp("runs")
    small, study = write_results(base / "small", with_performance), write_study(base / "study")
    return {"large": made_of(write_eight_arms(base / "large")), "small": made_of(small), "study": made_of(study)}


def made_of(results: Path) -> Charts:
    """Return the specification of each picture by the name of its file, as it is read from the file."""
    charts, _ = charts_of(read_findings(results), Words("en"))
    made = {
        name if number == 1 else page_stem(name, number): page
        for name, chart in charts.items()
        for number, page in enumerate(pages(chart), 1)
    }
    return dict(json.loads(json.dumps(made)))


def parts(value: Any, key: str) -> Iterator[Any]:
    """Yield every value under a key, at any depth."""
    if isinstance(value, dict):
        for name, one in value.items():
            if name == key:
                yield one
            yield from parts(one, key)
    elif isinstance(value, list):
        for one in value:
            yield from parts(one, key)


def with_few_rows(value: Any) -> Any:
    """Return a specification with the first two rows of its data: the others are alike, and checking is slow."""
    if isinstance(value, list):
        return [with_few_rows(one) for one in value]
    if not isinstance(value, dict):
        return value
    if "values" in value and all(isinstance(row, dict) for row in value["values"]):
        return value | {"values": value["values"][:2]}
    return {key: with_few_rows(one) for key, one in value.items()}


@pytest.mark.slow
def test_altair_accepts_every_specification(runs: dict[str, Charts]) -> None:
    """The charts are made without checking them, because that takes long."""
    for charts in runs.values():
        for specification in charts.values():
            alt.ConcatChart.from_dict(with_few_rows(specification), validate=True)


def test_a_chart_has_a_title_and_two_lines_of_subtitle_at_most(runs: dict[str, Charts]) -> None:
    for charts in runs.values():
        for name, specification in charts.items():
            title = specification["title"]
            assert title["text"], name
            assert 1 <= len(title["subtitle"]) <= 2, name
            assert all(len(line) <= 130 for line in title["subtitle"]), name
            for panel in specification["concat"]:
                lines = panel.get("title", {}).get("subtitle", "")
                assert isinstance(lines, str) or len(lines) <= 1, name


def panels_px(page: dict[str, Any]) -> float:
    """Return the height of a picture's panels, which stand in rows."""
    heights = [panel["height"] for panel in page["concat"]]
    rows = range(0, len(heights), page["columns"])
    return float(sum(max(heights[row : row + page["columns"]]) for row in rows))


def test_no_picture_is_higher_than_3000_pixels(runs: dict[str, Charts], tmp_path: Path) -> None:
    """The highest ones are drawn. A picture that is too high is drawn with fewer pixels."""
    assert MOST_HEIGHT_PX * RESOLUTION_PPI / 72 == 3000
    highest = sorted(runs["large"].values(), key=panels_px)[-3:]
    too_high = json.loads(json.dumps(highest[-1]))
    too_high["concat"] = too_high["concat"][:1]
    too_high["concat"][0]["height"] = 2 * MOST_HEIGHT_PX
    for number, page in enumerate([*highest, too_high]):
        render(page, tmp_path / f"{number}.png")
    heights = [struct.unpack(">II", path.read_bytes()[16:24])[1] for path in sorted(tmp_path.glob("*.png"))]
    assert len(heights) == 4
    assert max(heights) <= 3000
    assert heights[-1] >= 2990


def test_no_chart_shows_a_code_of_a_method(runs: dict[str, Charts]) -> None:
    for charts in runs.values():
        for name, specification in charts.items():
            text = json.dumps(specification)
            for code in ("sign_flip", "t_series", "wilson", "square_and_add", "no_worse", "t_clustered"):
                assert f"{code};" not in text, (name, code)
                assert f'{code}"' not in text, (name, code)


def test_axes_stay_within_what_is_possible(runs: dict[str, Charts]) -> None:
    """Accuracy lies between 0 and 1, perplexity is at least 1; sizes, times and divergences are at least 0."""
    seen = 0
    for charts in runs.values():
        for name, specification in charts.items():
            for channels in parts(specification["concat"], "encoding"):
                for channel in (channels.get("x"), channels.get("y")):
                    if not isinstance(channel, dict) or not isinstance(channel.get("axis"), dict):
                        continue
                    title, domain = channel["axis"].get("title") or "", (channel.get("scale") or {}).get("domain", [])
                    least = {"Accuracy": 0, "Perplexity": 1, "Mean KLD": 0, "File size": 0, "Memory": 0, "Time": 0}
                    for start, low in least.items():
                        if str(title).startswith(start):
                            seen += 1
                            assert domain[0] >= low, (name, title)
                            assert domain[1] <= (1 if start == "Accuracy" else float("inf")), (name, title)
    assert seen > 50


def test_the_first_picture_has_the_claim_on_average_and_then_the_benchmarks(runs: dict[str, Charts]) -> None:
    panels = runs["large"]["quantization_verdict"]["concat"]
    assert [panel["title"]["text"].split(" (")[0] for panel in panels] == [
        "On average over 4 benchmarks",
        "GSM8K",
        "MATH-500",
        "ARC-Challenge",
        "JCommonsenseQA",
        "Perplexity",
        "Perplexity",
    ]


def points_of(panel: dict[str, Any]) -> dict[str, dict[str, Any]]:
    (mark,) = [layer for layer in panel["layer"] if "tooltip" in layer["encoding"]]
    return {row["arm"]: row for row in (mark.get("data") or panel["data"])["values"]}


def test_an_arm_that_would_squeeze_the_rest_stands_at_the_border_with_its_value(runs: dict[str, Charts]) -> None:
    panel = panel_of(runs["large"]["quantization_verdict"], "GSM8K")
    arms = points_of(panel)
    assert arms["q3_k_m"]["label"] == "q3_k_m −5.3 pp ↓"
    assert arms["q3_k_m"]["low"] is None
    assert arms["q4_k_m"]["low"] < arms["q4_k_m"]["difference"] < arms["q4_k_m"]["high"]
    assert {arms[name]["verdict"] for name in ("q8_0", "q4_k_m", "q3_k_m")} == {"no worse", "undecided", "worse"}


def test_the_margin_and_zero_are_lines_with_names(runs: dict[str, Charts]) -> None:
    panel = panel_of(runs["large"]["quantization_verdict"], "Perplexity (WikiText")
    rows = [row for data in parts(panel, "values") if isinstance(data, list) for row in data if isinstance(row, dict)]
    assert {row["at"] for row in rows if "at" in row} == {0.0, 0.01}
    assert {row["text"] for row in rows if set(row) == {"y", "text"}} == {"0: bf16", "margin +0.01"}
    (scale,) = [one for one in parts(panel, "scale") if isinstance(one, dict) and one.get("reverse")][:1]
    assert scale["domain"][0] < 0.01 < scale["domain"][1]


def test_numbers_of_a_forest_stand_right_of_its_panel(runs: dict[str, Charts]) -> None:
    for panel in runs["large"]["quantization_difference"]["concat"]:
        texts = [layer for layer in panel["layer"] if layer["mark"]["type"] == "text"]
        assert len(texts) == 1
        assert texts[0]["encoding"]["x"]["value"] > panel["width"]


def test_panels_of_a_chart_are_equally_wide_and_have_equal_room_for_labels(runs: dict[str, Charts]) -> None:
    for stem in ("quantization_performance", "quantization_difference", "quantization_efficiency"):
        panels = runs["large"][stem]["concat"]
        assert len({(panel["width"], panel["height"]) for panel in panels}) == 1
        assert len({room for panel in panels for room in parts(panel, "minExtent")}) == 1


def test_too_many_panels_for_one_picture_give_several_of_equal_length() -> None:
    panels = [{"height": 300, "title": {"text": str(number), "subtitle": ["n"]}} for number in range(10)]
    title = {"text": "Differences", "subtitle": ["a", "b"]}
    made = pages({"concat": panels, "columns": 2, "title": title, "config": {}})
    assert [len(page["concat"]) for page in made] == [4, 4, 2]
    assert [page["title"]["text"] for page in made] == [f"Differences ({number}/3)" for number in (1, 2, 3)]
    assert [panel["title"]["text"] for page in made for panel in page["concat"]] == [str(one) for one in range(10)]


@pytest.mark.parametrize("n_rows", [1, 8, 40, 70])
def test_the_rows_of_a_single_panel_fit_into_one_picture(n_rows: int) -> None:
    assert row_px(n_rows, 1, 1, 34) * n_rows <= MOST_HEIGHT_PX


@pytest.mark.parametrize("n_panels", range(1, 10))
def test_up_to_nine_panels_fit_into_one_picture(n_panels: int) -> None:
    columns = columns_of(n_panels)
    panels = [{"height": height_of(n_panels, columns, 280, 150), "title": {"subtitle": ["n"]}}] * n_panels
    assert len(pages({"concat": panels, "columns": columns, "title": {"text": ""}})) == 1


def test_names_from_models_are_data_and_never_expressions(tmp_path: Path) -> None:
    """Vega-Lite evaluates strings, or fetches them, only under these keys."""
    charts = made_of(write_results(tmp_path, with_hostile_names))
    assert any("<script>" in json.dumps(specification) for specification in charts.values())
    for name, specification in charts.items():
        for key in ("filter", "calculate", "labelExpr", "expr", "test", "href", "url"):
            for found in parts(specification, key):
                assert "script" not in str(found), (name, key)
                assert "evil" not in str(found), (name, key)
