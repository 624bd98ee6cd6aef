"""The model card of one model's quantizations, written from the findings, to publish beside the files.

What a file is recommended for follows from its verdict: no file is recommended without evidence.
`reporting.documents.card.publish` decides which files are in the folder.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from conf.names import spelled_name
from reporting.documents.card.commands import Commands, commands, python_example, recipes_yaml
from reporting.documents.card.header import base_model, card_header, licence
from reporting.documents.engine import markdown_environment
from reporting.documents.figures import Figure
from reporting.documents.phrases import count_with_unscored
from reporting.documents.references import bibtex
from reporting.documents.tables.categories import categories_table
from reporting.documents.tables.results import Table, make_table
from reporting.documents.view import View
from reporting.results_folder import Findings, Json
from reporting.wording import (
    DASH,
    Words,
    benchmark_title,
    header,
    integer,
    metric_title,
    number,
    scale_of,
    size_unit,
    verdict_word,
)


@dataclass(frozen=True)
class PublishedFile:
    """A GGUF to publish: the arm that it belongs to, and its name in the folder."""

    arm: Json
    file_name: str


@dataclass(frozen=True)
class Card:
    """What the template of the model card prints, besides the view."""

    model: Json
    header: str
    base_model: str | None
    licence: str | None
    files: Table
    results: Table
    categories: Table
    commands: tuple[Commands, ...]
    recipes: str | None
    """The custom recipes as YAML; None if there are none."""
    python: str
    """Example code that runs one of the files with llama-cpp-python."""
    imatrices: tuple[Json, ...]
    figures: tuple[Figure, ...]
    bibtex: str


def published_files(findings: Findings, model: str) -> list[PublishedFile]:
    """Return the files of one model that this pipeline made and that are neither failed nor controls.

    Each keeps the name that it was made with, `<model>-<RECIPE>.gguf`. If that name is not unique (one recipe with
    several importance matrices), the file is named after its arm.
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
    safe = [safe_name(name) for name in chosen]
    twice = Counter(safe)
    unique = [
        name if twice[name] == 1 else f"{PurePath(name).stem}-{place}.gguf" for place, name in enumerate(safe, start=1)
    ]
    return [PublishedFile(arm, name) for arm, name in zip(arms, unique, strict=True)]


def safe_name(name: str) -> str:
    """Return a name that is valid as a file name on every system. Letters of every script stay."""
    return spelled_name(name).replace("~", "-").lstrip(".-") or "model"


def card_markdown(findings: Findings, view: View, model: Json, files: Sequence[PublishedFile]) -> str:
    """Return the whole `README.md` of one model."""
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
        python=python_example(_example_file(findings, files).file_name),
        imatrices=imatrices,
        figures=view.figures,
        bibtex="\n\n".join(bibtex(reference) for reference in view.references),
    )
    body = markdown_environment().get_template("model_card.md.j2").render(v=view, w=words, card=card)
    lines = [line.rstrip() for line in body.strip().split("\n")]
    kept = [line for place, line in enumerate(lines) if line or (place and lines[place - 1])]
    return card.header + "\n" + "\n".join(kept) + "\n"


def _files_table(findings: Findings, words: Words, files: Sequence[PublishedFile]) -> Table:
    unit = size_unit(max((one.arm["size_bytes"] or 0 for one in files), default=0))
    columns = [
        (header(words, "file"), False),
        (header(words, "recipe"), False),
        (header(words, "size"), True),
        (header(words, "bits_per_weight"), True),
        (header(words, "imatrix"), False),
        (header(words, "verdict"), False),
        (words.say("用途の目安", "Use it for"), False),
    ]
    verdicts = _verdicts(findings)
    rows = [
        (
            one.file_name,
            str(one.arm["recipe"]),
            unit.text(one.arm["size_bytes"]),
            number(one.arm["bits_per_weight"], 2),
            one.arm["imatrix"] or DASH,
            _verdict_cell(words, verdicts.get(one.arm["name"])),
            _recommendation(findings, words, one.arm, (verdicts.get(one.arm["name"]) or {})),
        )
        for one in files
    ]
    return make_table(columns, rows)


def _verdicts(findings: Findings) -> dict[str, Json]:
    rows = [] if findings.analysis is None else findings.analysis.get("verdicts", [])
    return {row["arm"]: row for row in rows}


def _verdict_cell(words: Words, row: Json | None) -> str:
    """Return the verdict, and below it the number of unscored records if there are any."""
    if row is None:
        return DASH
    text, unscored = verdict_word(words, row["verdict"]), row.get("n_unscored")
    if not unscored:
        return text
    of = f"{integer(unscored)} / {integer(row['n_records'])}"
    return f"{text}\n" + words.say(f"採点不能の記録 {of} 件", f"unscored records: {of}")


def _recommendation(findings: Findings, words: Words, arm: Json, row: Json) -> str:
    """Return what the evidence allows a file to be used for."""
    selections = [] if findings.analysis is None else findings.analysis.get("selections", [])
    if findings.role(arm) == "reference":
        return words.say("比較の基準。別の量子化の元ファイル", "the reference, and the source of other quantizations")
    if any(row["smallest_no_worse"] == arm["name"] for row in selections):
        return words.say("「許容内」と判定された最小のファイル", "the smallest file shown to be no worse")
    on_average = [(row.get("on_average") or {}).get("smallest_no_worse") for row in selections]
    if arm["name"] in on_average and row.get("verdict") != "worse":
        return words.say(
            "平均で「許容内」と判定された最小のファイル(個々のベンチマークは判定保留を含む)",
            "the smallest file shown to be no worse on average; single benchmarks are open",
        )
    texts = {
        "no_worse": ("低下が許容幅に収まると確認済み", "shown to lose less than the margin"),
        "undecided": (
            "判定保留: この問題数では許容幅を超える低下を否定できない",
            "undecided: with this many items a loss beyond the margin cannot be excluded",
        ),
        "worse": (
            "メモリの節約を優先する場合(許容幅を超える品質の低下を確認済み)",
            "saving memory, at a loss of quality shown to exceed the margin",
        ),
        "floor": (
            "判定保留: 基準の正答が少なすぎて測れない",
            "undecided: the reference gets too little right to measure",
        ),
        "ceiling": ("判定保留: 問題が易しすぎて測れない", "undecided: the items are too easy to measure a loss"),
        "unscored": (
            "判定保留: 採点不能の記録が低下を隠している可能性がある",
            "undecided: unscored records may hide a loss beyond the margin",
        ),
        "loss_shown": (
            "判定保留: 低下を確認したが、許容幅を超えるかは未確定",
            "undecided: a loss is shown; whether it exceeds the margin is open",
        ),
    }
    verdict = row.get("verdict") or ""
    ground = next((one for one in row.get("grounds", ()) if verdict == "undecided" and one in texts), verdict)
    return words.say(*texts.get(ground, ("基準との比較なし", "not compared with a reference")))


def _results_table(findings: Findings, words: Words, model: str) -> Table:
    """Return one row per benchmark and one column per arm: the mean, its interval, and the verdict if there is one."""
    arms = [arm for arm in findings.candidates if arm["model"] == model]
    columns = [(header(words, "benchmark"), False)] + [(str(arm["name"]), True) for arm in arms]
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
        unscored = max((row["n_unscored"] for row in shown.values()), default=0)
        count = count_with_unscored(words, n_items, unscored)
        title = f"{benchmark_title(words, benchmark)}\n{metric_title(words, metric)}, n = {count}"
        score = str(benchmark.get("verdict_score", benchmark["metric"]))
        if score != benchmark["metric"]:
            title += f"\n{header(words, 'verdict')}: {metric_title(words, score)}"
        rows.append((title, *cells))
    return make_table(columns, rows)


def _matrix_name(one: PublishedFile, imatrices: Sequence[Json]) -> str | None:
    """Return the name in the folder of the importance matrix that this file was made with; None if there is none."""
    matrix = next((each for each in imatrices if each["name"] == one.arm["imatrix"]), None)
    return None if matrix is None else safe_name(PurePath(matrix["file"]).name)


def _example_file(findings: Findings, files: Sequence[PublishedFile]) -> PublishedFile:
    """Return the file for the examples: the smallest that is shown to be no worse, else the largest quantized one."""
    selections = [] if findings.analysis is None else findings.analysis.get("selections", [])
    shown = {row["smallest_no_worse"] for row in selections}
    by_size = sorted(files, key=lambda one: -(one.arm["size_bytes"] or 0))
    quantized = [one for one in by_size if findings.role(one.arm) != "reference"]
    return next((one for one in files if one.arm["name"] in shown), next(iter(quantized), by_size[0]))
