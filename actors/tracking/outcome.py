"""What the result files say of each arm and of the whole pipeline: the numbers and verdicts that people compare.

Every number has the same name in all arms, so MLflow can put the arms into one table: `<benchmark>/<metric>` and
`<benchmark>/<metric>_difference` from the reference. `_low` and `_high` are the ends of 95% intervals.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from actors.store import RunDirectory
from actors.tracking.description import describe_arm, describe_pipeline
from actors.tracking.entities import DESCRIPTION_TAG, TrackedDataset
from actors.tracking.scalars import valid_name, with_interval
from conf.files import exists, read_json
from conf.schema.pipeline import Language
from reporting.analysis.scored_arms import AA_SUFFIX
from reporting.results_folder import Findings
from reporting.shown_verdict import shown_verdict, shown_verdict_of_arm
from reporting.verdict_box import FileCost, VerdictBox, verdict_boxes
from reporting.verdict_headline import file_on_average
from reporting.wording import Words, languages

VERDICT_TAG = "quant_assay.verdict"
ON_AVERAGE_TAG = "quant_assay.verdict_on_average"
SMALLEST_TAG = "quant_assay.smallest_no_worse"
SMALLEST_ON_AVERAGE_TAG = "quant_assay.smallest_no_worse_on_average"
JUDGES_TAG = "quant_assay.judges"
_SPEEDS = ("prompt_tokens_per_second", "decode_tokens_per_second")


class Outcome:
    """The two result files of a run. Without them, every answer is empty."""

    def __init__(self, comparison: Mapping[str, Any], analysis: Mapping[str, Any] | None, lang: Language) -> None:
        """Take the files as they are.

        Args:
            comparison: `quantization_comparison.json`, or nothing while there is none.
            analysis: `statistical_analysis.json`, if there is one.
            lang: language of the descriptions.
        """
        made = {"arms": [], "benchmarks": [], "results": [], "performance": [], **comparison}
        self._findings = Findings(made, None if analysis is None else {"comparisons": [], **analysis})
        self._arms = {arm["name"]: arm for arm in self._findings.arms}
        self._analysis = analysis or {}
        self._verdicts = {row["arm"]: row for row in self._analysis.get("verdicts", ())}
        self._claims = {row["arm"]: row for row in self._analysis.get("pooled") or ()}
        both = [Words(one) for one in reversed(languages(lang))]  # MLflow's pages are in English, so it comes first
        self._boxes: tuple[tuple[Words, tuple[VerdictBox, ...]], ...] = (
            tuple((words, verdict_boxes(comparison, analysis, words)) for words in both) if comparison else ()
        )

    def datasets(self) -> tuple[TrackedDataset, ...]:
        """Return the data of the benchmarks."""
        return tuple(
            TrackedDataset(
                name=str(one["name"]),
                sha256=str(one["data_hash"]),
                context="evaluation",
                source={name: one.get(name) for name in ("source", "n_items", "n_items_total", "shots", "version")},
            )
            for one in self._findings.benchmarks
        )

    def arm_metrics(self, arm: str) -> dict[str, float]:
        """Return an arm's size, its mean on each benchmark, its differences from the reference, and its speed."""
        described = self._arms.get(arm)
        if described is None:
            return {}
        metrics = {name: float(described[name]) for name in ("size_bytes", "bits_per_weight") if described.get(name)}
        for benchmark in self._findings.benchmarks:
            name = benchmark["name"]
            shown = self._findings.shown(arm, name)
            if shown is not None:
                metrics |= with_interval(f"{name}/{shown['metric']}", shown["mean"], shown["ci95"])
                metrics[valid_name(f"{name}/n_items")] = float(shown["n_items"])
        for row in self._findings.comparison["results"]:
            if row["arm"] == arm and row["metric"] == "kld":
                metrics |= with_interval(f"{row['benchmark']}/kld", row["mean"], row["ci95"])
        for row in self._findings.comparisons:
            if row["arm"] == arm:
                name = f"{row['benchmark']}/{row['metric']}_difference"
                metrics |= with_interval(name, row["difference"], row["ci95"])
        if arm in self._claims:
            metrics |= _on_average(self._claims[arm], "on_average/accuracy_difference")
        counts = self._verdicts.get(arm, {})
        metrics |= {name: float(counts[name]) for name in ("n_records", "n_unscored") if counts.get(name) is not None}
        speeds = self._findings.performance(arm) or {}
        return metrics | {name: float(speeds[name]) for name in _SPEEDS if speeds.get(name) is not None}

    def arm_notes(self, arm: str) -> dict[str, str]:
        """Return an arm's verdicts and its description as tags."""
        row = self._verdicts.get(arm)
        if row is None:
            return {}
        notes = {VERDICT_TAG: shown_verdict_of_arm(row, self._analysis)}
        if row.get("on_average"):
            notes[ON_AVERAGE_TAG] = str(row["on_average"])
        for one in self._findings.comparisons:
            if one["arm"] == arm and one.get("verdict"):
                notes[valid_name(f"{VERDICT_TAG}/{one['benchmark']}")] = shown_verdict(one)
        found = [(words, cost) for words, boxes in self._boxes if (cost := _cost_of(boxes, arm)) is not None]
        return notes | ({DESCRIPTION_TAG: describe_arm(found)} if found else {})

    def pipeline_metrics(self) -> dict[str, float]:
        """Return how many arms have which verdict, and the claim on average about each arm."""
        candidates = {name: row for name, row in self._verdicts.items() if not name.endswith(AA_SUFFIX)}
        counts = Counter(shown_verdict_of_arm(row, self._analysis) for row in candidates.values())
        metrics = {f"verdicts/{code}": float(counts[code]) for code in ("no_worse", "undecided", "worse")}
        for arm in candidates.keys() & self._claims.keys():
            metrics |= _on_average(self._claims[arm], f"on_average/{arm}")
        return metrics if candidates else {}

    def pipeline_notes(self) -> dict[str, str]:
        """Return the verdict of each arm, the arms that may be shipped, and the verdict box, as tags."""
        notes = {}
        for row in self._verdicts.values():
            notes[valid_name(f"{VERDICT_TAG}/{row['arm']}")] = shown_verdict_of_arm(row, self._analysis)
            if row.get("on_average"):
                notes[valid_name(f"{ON_AVERAGE_TAG}/{row['arm']}")] = str(row["on_average"])
        for one in self._findings.benchmarks:
            jury = [f"{judge['name']} ({judge['model'] or judge['requested']})" for judge in one.get("judges") or ()]
            if jury:
                notes[valid_name(f"{JUDGES_TAG}/{one['name']}")] = f"{'; '.join(jury)} by {one['judges'][0]['rubric']}"
        selections = self._analysis.get("selections", ())
        chosen = {row["reference"]: row["smallest_no_worse"] for row in selections}
        on_average = {row["reference"]: file_on_average(self._analysis, row) for row in selections if row["on_average"]}
        notes |= {tag: _chosen(of) for tag, of in ((SMALLEST_TAG, chosen), (SMALLEST_ON_AVERAGE_TAG, on_average)) if of}
        if any(boxes for _, boxes in self._boxes):
            notes[DESCRIPTION_TAG] = describe_pipeline(self._boxes)
        return notes


def read_outcome(run: RunDirectory, lang: Language) -> Outcome:
    """Read the result files of a run, as far as they are there."""
    return Outcome(_read_if_made(run.comparison), _read_if_made(run.analysis) or None, lang)


def _read_if_made(path: Path) -> dict[str, Any]:
    return read_json(path) if exists(path) else {}


def _on_average(claim: Mapping[str, Any], name: str) -> dict[str, float]:
    return with_interval(name, claim["difference"], claim["ci95"])


def _cost_of(boxes: tuple[VerdictBox, ...], arm: str) -> FileCost | None:
    return next((file for box in boxes for file in box.files if file.arm == arm), None)


def _chosen(by_reference: Mapping[str, str | None]) -> str:
    """Return the chosen arm, or `none`; with the references if there are several."""
    if len(by_reference) == 1:
        return next(iter(by_reference.values())) or "none"
    return "; ".join(f"{reference}: {arm or 'none'}" for reference, arm in by_reference.items())
