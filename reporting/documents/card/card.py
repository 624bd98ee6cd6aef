"""The model card of one model's quantizations, as the readers of a hub know it, and what concerns its publisher.

What a file is recommended for follows from its verdict: no file is recommended without evidence.
`reporting.documents.card.publish` decides which files are in the folder.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from reporting.documents.card.citations import citations
from reporting.documents.card.commands import Making, Running, making, recipes_yaml, running
from reporting.documents.card.files import CARD, PublishedFile, PublishedMatrix, in_main_language, link, repository
from reporting.documents.card.header import base_model, card_header, licence
from reporting.documents.card.tables import files_tables, results_table
from reporting.documents.engine import markdown_environment
from reporting.documents.sentences.early_stop import early_stop_sentences
from reporting.documents.sentences.looks import look_summary
from reporting.documents.tables.categories import categories_table
from reporting.documents.tables.results import Table
from reporting.documents.view import View
from reporting.results_folder import Findings, Json
from reporting.verdict_box import VerdictBox
from reporting.verdict_headline import file_on_average
from reporting.wording import Lang

_LANGUAGE_NAMES = {"ja": "日本語", "en": "English"}


@dataclass(frozen=True)
class Card:
    """What the template of the model card prints, besides the view."""

    model: Json
    base_model: str | None
    licence: str | None
    other_language: Markup | None
    """A link to the card in the other language, if there is one."""
    headlines: tuple[tuple[str, Markup | None], ...]
    """Which file to take, for each reference, and the link to that file if one is recommended."""
    files: tuple[Table, ...]
    notes: tuple[str, ...]
    """How to read the tables of files."""
    undecided: tuple[str, ...]
    looks: tuple[str, ...]
    """What was looked at before, and what ended early, as far as it concerns this model's arms."""
    repository: str
    running: Running
    prompt: str | None
    """How a prompt looks; None if the model's file has no chat template that renders, or if it is not known."""
    is_prompt_known: bool
    """False: the results are older than this field."""
    evaluated_with_other_template: bool
    """True if the configuration of the evaluation had its own chat template."""
    results: Table
    categories: Table
    matrices: tuple[tuple[Json, Markup], ...]
    """The importance matrices, with links to them."""
    bibtex: str


@dataclass(frozen=True)
class Publishing:
    """What the publisher of one model has to know, and no reader of its card."""

    model: Json
    folder: str
    cards: tuple[str, ...]
    repository: str
    base_model: str | None
    licence: str | None
    making: tuple[Making, ...]
    recipes: str | None
    """The custom recipes as YAML; None if there are none."""
    matrices: tuple[PublishedMatrix, ...]


def card_markdown(
    findings: Findings,
    view: View,
    model: Json,
    files: Sequence[PublishedFile],
    matrices: Sequence[PublishedMatrix],
    languages: Sequence[Lang],
) -> str:
    """Return the card of one model in the language of the view. `languages` are those that a card is written in."""
    words = view.words
    boxes = [(box, notes) for box, notes in zip(view.boxes, view.box_notes, strict=True) if box.model == model["name"]]
    own = in_main_language(CARD, words.lang, languages)
    arms = [arm for arm in findings.arms if arm["model"] == model["name"]]
    chosen = _example_file(findings, files)
    others = [lang for lang in languages if lang != words.lang]
    chat = model.get("chat") or {}
    card = Card(
        model=model,
        base_model=base_model(model),
        licence=licence(model.get("labels") or {}).get("license"),
        other_language=next(
            (link(_LANGUAGE_NAMES[lang], in_main_language(CARD, lang, languages)) for lang in others), None
        ),
        headlines=tuple((box.headline, _chosen(findings, box, files)) for box, _ in boxes),
        files=tuple(files_tables(findings, view, model["name"], files)),
        notes=tuple(note for _, notes in boxes for note in notes),
        looks=_looks(findings, view, {str(arm["name"]) for arm in arms}),
        undecided=tuple(sentence for box, _ in boxes for sentence in box.undecided),
        repository=repository(model["name"]),
        running=running(repository(model["name"]), chosen.file_name),
        prompt=chat.get("example"),
        is_prompt_known="example" in chat,
        evaluated_with_other_template=chat.get("template") == "configuration",
        results=results_table(findings, words, model["name"]),
        categories=categories_table(findings, words, arms),
        matrices=tuple((one.matrix, link(one.file_name, one.file_name)) for one in matrices),
        bibtex=citations(model, findings.comparison["versions"]),
    )
    # Only the file that the hub shows has a header.
    top = card_header(model, with_imatrix=bool(matrices)) + "\n" if own == CARD else ""
    return top + _rendered("model_card.md.j2", v=view, w=words, card=card)


def _looks(findings: Findings, view: View, arms: Collection[str]) -> tuple[str, ...]:
    summary = look_summary(findings, view.words, arms)
    return (*([summary] if summary else []), *early_stop_sentences(findings, view.words, arms))


def publishing_markdown(view: View, models: Sequence[Publishing]) -> str:
    """Return what the publisher has to know of all models, in the language of the view."""
    return _rendered("publishing.md.j2", v=view, w=view.words, models=models)


def publishing(
    findings: Findings,
    model: Json,
    files: Sequence[PublishedFile],
    matrices: Sequence[PublishedMatrix],
    folder: str,
    languages: Sequence[Lang],
) -> Publishing:
    """Return what concerns the publisher of one model."""
    names = {one.matrix["name"]: one.file_name for one in matrices}
    return Publishing(
        model=model,
        folder=folder,
        cards=tuple(in_main_language(CARD, lang, languages) for lang in languages),
        repository=repository(model["name"]),
        base_model=base_model(model),
        licence=licence(model.get("labels") or {}).get("license"),
        making=tuple(making(model, one.arm, one.file_name, names.get(one.arm["imatrix"])) for one in files),
        recipes=recipes_yaml([one.arm for one in files], findings.comparison["settings"]),
        matrices=tuple(matrices),
    )


def _rendered(template: str, **values: Any) -> str:
    text = markdown_environment().get_template(template).render(**values)
    lines = [line.rstrip() for line in text.strip().split("\n")]
    kept = [line for place, line in enumerate(lines) if line or (place and lines[place - 1])]
    return "\n".join(kept) + "\n"


def _chosen(findings: Findings, box: VerdictBox, files: Sequence[PublishedFile]) -> Markup | None:
    """Return a link to the file that the headline of a box names, if it is published."""
    selections = [] if findings.analysis is None else findings.analysis.get("selections", [])
    for row in selections:
        if row["reference"] == box.reference:
            arm = row["smallest_no_worse"] or file_on_average(findings.analysis or {}, row) or box.reference
            return next((link(one.file_name, one.file_name) for one in files if one.arm["name"] == arm), None)
    return None


def _example_file(findings: Findings, files: Sequence[PublishedFile]) -> PublishedFile:
    """Return the file for the examples: the smallest shown to be no worse, else the reference, else the largest."""
    selections = [] if findings.analysis is None else findings.analysis.get("selections", [])
    shown = {row["smallest_no_worse"] for row in selections}
    chosen = [one for one in files if one.arm["name"] in shown]
    references = [one for one in files if findings.role(one.arm) == "reference"]
    return next(iter([*chosen, *references]), max(files, key=lambda one: one.arm["size_bytes"] or 0))
