"""The model card of one model's quantizations: what a publisher puts beside the files, out of the findings.

What an arm is good for follows its verdict; no arm is recommended without evidence. Which files lie in the folder is
left to `reporting.documents.card.publish`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from reporting.documents.card.commands import Commands, commands, python_lines, recipes_yaml
from reporting.documents.card.header import base_model, card_header, licence
from reporting.documents.engine import markdown_environment
from reporting.documents.references import bibtex
from reporting.documents.tables.categories import categories_table
from reporting.documents.tables.results import Table, make_table
from reporting.documents.view import Figure, View
from reporting.results_folder import Findings, Json
from reporting.wording import DASH, Words, benchmark_title, metric_title, number, scale_of, size_unit, verdict_word


@dataclass(frozen=True)
class Published:
    """An arm whose file is published."""

    arm: Json
    file_name: str


@dataclass(frozen=True)
class Card:
    """What the template of the card is given beside the view."""

    model: Json
    header: str
    base_model: str | None
    licence: str | None
    files: Table
    results: Table
    categories: Table
    commands: tuple[Commands, ...]
    recipes: str | None
    """The user's own recipes as YAML."""
    python: str
    """How llama-cpp-python runs one of the files."""
    imatrices: tuple[Json, ...]
    figures: tuple[Figure, ...]
    bibtex: str


def published(findings: Findings, model: str) -> list[Published]:
    """The arms of one model that this pipeline made, without failed ones and controls, under publishers' names.

    Files are named as they were made, `<model>-<RECIPE>.gguf`; where that is not unique (one recipe with several
    matrices), by their arms.
    """
    arms = [
        arm
        for arm in findings.arms
        if arm["model"] == model
        and arm.get("method")
        and arm.get("file")
        and not arm["failed"]
        and not (arm.get("budget") or {}).get("control")
    ]
    names = [PurePath(arm["file"]).name for arm in arms]
    seen = Counter(names)
    chosen = [
        name if seen[name] == 1 else f"{safe_name(model)}-{safe_name(arm['name'])}.gguf"
        for arm, name in zip(arms, names, strict=True)
    ]
    return [Published(arm, safe_name(name)) for arm, name in zip(arms, chosen, strict=True)]


def safe_name(name: str) -> str:
    """A name that is a file name on every system and a plain word on a command line."""
    return re.sub(r"[^A-Za-z0-9_.+-]", "-", name).lstrip(".-") or "model"


def card_markdown(findings: Findings, view: View, model: Json, files: Sequence[Published]) -> str:
    """The whole `README.md` of one model."""
    words = view.words
    names = {one.arm["imatrix"] for one in files if one.arm["imatrix"]}
    imatrices = tuple(one for one in findings.comparison["imatrices"] if one["name"] in names)
    card = Card(
        model=model,
        header=card_header(model, with_imatrix=bool(imatrices)),
        base_model=base_model(model),
        licence=licence(model.get("labels") or {}).get("license"),
        files=_files_table(findings, words, files),
        results=_results_table(findings, words, model["name"]),
        categories=categories_table(findings, words, [arm for arm in findings.arms if arm["model"] == model["name"]]),
        commands=tuple(commands(model, one.arm, one.file_name, _matrix_name(one, imatrices)) for one in files),
        recipes=recipes_yaml([one.arm for one in files], findings.comparison["settings"]),
        python=python_lines(_to_try(findings, files).file_name),
        imatrices=imatrices,
        figures=view.figures,
        bibtex="\n\n".join(bibtex(reference) for reference in view.references),
    )
    body = markdown_environment().get_template("model_card.md.j2").render(v=view, w=words, card=card)
    lines = [line.rstrip() for line in body.strip().split("\n")]
    kept = [line for place, line in enumerate(lines) if line or (place and lines[place - 1])]
    return card.header + "\n" + "\n".join(kept) + "\n"


def _files_table(findings: Findings, words: Words, files: Sequence[Published]) -> Table:
    unit = size_unit(max((one.arm["size_bytes"] or 0 for one in files), default=0))
    columns = [
        (words.say("ファイル", "File", "\n"), False),
        (words.say("型", "Type", "\n"), False),
        (words.say("大きさ", "Size", "\n"), True),
        (words.say("ビット/重み", "Bits/weight", "\n"), True),
        (words.say("重要度行列", "Imatrix", "\n"), False),
        (words.say("判定", "Verdict", "\n"), False),
        (words.say("使いどころ", "Take it for", "\n"), False),
    ]
    verdicts = _verdicts(findings)
    rows = [
        (
            one.file_name,
            str(one.arm["recipe"]),
            unit.text(one.arm["size_bytes"]),
            number(one.arm["bits_per_weight"], 2),
            one.arm["imatrix"] or DASH,
            verdict_word(words, verdicts.get(one.arm["name"]), "\n") or DASH,
            _use(findings, words, one.arm, verdicts.get(one.arm["name"])),
        )
        for one in files
    ]
    return make_table(columns, rows)


def _verdicts(findings: Findings) -> dict[str, str]:
    rows = [] if findings.analysis is None else findings.analysis.get("verdicts", [])
    return {row["arm"]: row["verdict"] for row in rows}


def _use(findings: Findings, words: Words, arm: Json, verdict: str | None) -> str:
    """What the evidence lets an arm be taken for."""
    selections = [] if findings.analysis is None else findings.analysis.get("selections", [])
    if findings.role(arm) == "reference":
        return words.say("基準。ほかの量子化を作るとき", "the reference, and the source of further quantizations", "\n")
    if any(row["smallest_no_worse"] == arm["name"] for row in selections):
        return words.say("劣らないと示された最小のファイル", "the smallest file shown to be no worse", "\n")
    said = {
        "no_worse": ("許容幅を超える低下はないと示された", "shown to lose no more than the margin"),
        "undecided": (
            "未決: この問題数では低下を除外できない",
            "not decided: a loss cannot be excluded with these items",
        ),
        "worse": ("測定された低下と引き換えにメモリを節約", "saving memory, at a loss that was measured"),
    }
    return words.say(*said.get(verdict or "", ("基準との比較なし", "not compared with a reference")), "\n")


def _results_table(findings: Findings, words: Words, model: str) -> Table:
    """A row a benchmark, a column an arm: mean with its interval; verdicts below those that were compared."""
    arms = [arm for arm in findings.candidates if arm["model"] == model]
    columns = [(words.say("ベンチマーク", "Benchmark", "\n"), False)] + [(str(arm["name"]), True) for arm in arms]
    rows = []
    for benchmark in findings.benchmarks:
        shown = findings.shown_rows(benchmark["name"])
        compared = {row["arm"]: row for row in findings.compared(benchmark["name"])}
        metric = next(iter(shown.values()))["metric"] if shown else benchmark["metric"]
        values = [value for row in shown.values() for value in (row["mean"], *(row["ci95"] or ()))]
        scale = scale_of(metric, values)
        cells = []
        for arm in arms:
            row = shown.get(arm["name"])
            text = DASH if row is None else f"{scale.value(row['mean'])}\n{scale.interval(row['ci95'])}"
            verdict = verdict_word(words, compared.get(arm["name"], {}).get("verdict"))
            cells.append(f"{text}\n{verdict}" if verdict else text)
        n_items = max((row["n_items"] for row in shown.values()), default=0)
        title = f"{benchmark_title(words, benchmark)}\n{metric_title(words, metric)}, n = {n_items}"
        rows.append((title, *cells))
    return make_table(columns, rows)


def _matrix_name(one: Published, imatrices: Sequence[Json]) -> str | None:
    """The file of its importance matrix in the folder."""
    matrix = next((each for each in imatrices if each["name"] == one.arm["imatrix"]), None)
    return None if matrix is None else safe_name(PurePath(matrix["file"]).name)


def _to_try(findings: Findings, files: Sequence[Published]) -> Published:
    """The file that examples name: the smallest that was shown to be no worse, else the largest quantized one."""
    selections = [] if findings.analysis is None else findings.analysis.get("selections", [])
    shown = {row["smallest_no_worse"] for row in selections}
    by_size = sorted(files, key=lambda one: -(one.arm["size_bytes"] or 0))
    quantized = [one for one in by_size if findings.role(one.arm) != "reference"]
    return next((one for one in files if one.arm["name"] in shown), next(iter(quantized), by_size[0]))
