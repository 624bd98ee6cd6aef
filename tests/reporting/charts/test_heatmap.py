"""The heat map of verdicts: its texts and its colours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reporting.charts.heatmap import heatmap_chart
from reporting.charts.style import VERDICTS
from reporting.results_folder import read_findings
from reporting.wording import Words
from tests.reporting.charts.drawn import shown_by
from tests.reporting.results_folder import write_results

EN = Words("en")


def cells(folder: Path, words: Words = EN) -> list[dict[str, Any]]:
    chart = heatmap_chart(read_findings(write_results(folder)), words)
    assert chart is not None
    return list(chart["concat"][0]["data"]["values"])


def test_each_cell_shows_the_difference_with_its_unit_and_its_interval(tmp_path: Path) -> None:
    of_q4 = [(cell["value"], cell["interval"], cell["verdict"]) for cell in cells(tmp_path) if cell["arm"] == "q4_k_m"]
    assert of_q4 == [
        ("−6.6 pp", "[−14.0, +0.4]", "◇ undecided"),
        ("−8.1 pp", "[−19.9, +3.7]", "◇ undecided"),
        ("−5.0 pp", "[−16.5, +4.5]", "◇ undecided"),
        ("+0.0281 ln PPL", "[+0.0236, +0.0327]", "▼ worse"),
        ("+0.0304 ln PPL", "[+0.0261, +0.0348]", "▼ worse"),
    ]


def test_the_columns_say_how_many_items_and_unscored_records(tmp_path: Path) -> None:
    heads = list(dict.fromkeys(cell["column"] for cell in cells(tmp_path)))
    assert heads[0].split("\n") == ["on average", "n = 79 pairs", "up to 22 unscored records"]
    assert heads[3].rstrip() == "perplexity_wikitext2\nn = 24 pairs"


def test_the_colours_of_the_cells_differ_in_brightness() -> None:
    """For a grey print: luminance by ITU-R BT.709."""

    def luminance(colour: str) -> float:
        red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
        return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255

    ordered = [luminance(VERDICTS[code].cell) for code in ("undecided", "no_worse", "worse")]
    assert ordered[0] - ordered[1] > 0.15
    assert ordered[1] - ordered[2] > 0.3


def test_the_legend_names_each_verdict_in_the_language(tmp_path: Path) -> None:
    chart = heatmap_chart(read_findings(write_results(tmp_path)), Words("ja"))
    assert chart is not None
    text = shown_by(chart)
    assert all(name in text for name in ("● 許容内", "◇ 判定保留", "▼ 劣化あり"))
