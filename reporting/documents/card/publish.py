"""Fills the folder `publish/`, ready to upload: model card, GGUFs, importance matrices, charts.

Large files are hard links, so that they take no disk space. If the file system cannot make a hard link, a symbolic link
is used, and otherwise a copy. The cards are written last: a folder with a card is complete. A file that is not where
the results say (for example because the results were moved) is left out with a notice. What only the publisher has to
know stands in a file beside the folder.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from conf.files import atomic_path, exists, write_bytes, write_text
from reporting.documents.card.card import Publishing, card_markdown, publishing, publishing_markdown
from reporting.documents.card.files import (
    CARD,
    PublishedFile,
    PublishedMatrix,
    in_main_language,
    published_files,
    published_matrices,
    safe_name,
)
from reporting.documents.view import View
from reporting.file_names import ARTIFACTS, IMATRICES, PUBLISHING
from reporting.notices import Notice
from reporting.results_folder import Findings, Json


@dataclass(frozen=True)
class PublishedFolder:
    """The files that were put into the folder, and notices about missing ones."""

    paths: tuple[Path, ...]
    notices: tuple[str, ...]


def publish(
    findings: Findings, views: Sequence[View], run_dir: Path, charts_dir: Path, folder: Path
) -> PublishedFolder:
    """Fill `folder`; if there are several models, fill one subfolder per model.

    Args:
        findings: the results.
        views: the same results, ready for templates, in each language that a card is wanted in.
        run_dir: the folder that contains `imatrix/`.
        charts_dir: the folder with the charts.
        folder: `publish/`; created if it is missing.
    """
    languages = [view.words.lang for view in views]
    paths: list[Path] = []
    notices: list[str] = []
    for_publisher: list[Publishing] = []
    for model in findings.models:
        files = published_files(findings, model["name"])
        if not files:
            continue
        matrices = published_matrices(findings, model["name"], files)
        own = folder if len(findings.models) == 1 else folder / safe_name(model["name"])
        own.mkdir(parents=True, exist_ok=True)
        paths += _link_all(_sources(files, matrices, run_dir), own, notices)
        for stem in dict.fromkeys(figure.stem for view in views for figure in view.figures):
            write_bytes(own / "charts" / f"{stem}.png", (charts_dir / f"{stem}.png").read_bytes())
            paths.append(own / "charts" / f"{stem}.png")
        for view in views:
            card = own / in_main_language(CARD, view.words.lang, languages)
            write_text(card, card_markdown(findings, view, model, files, matrices, languages))
            paths.append(card)
        shown_folder = own.relative_to(folder.parent).as_posix()
        for_publisher.append(publishing(findings, model, files, matrices, shown_folder, languages))
    for view in views if for_publisher else ():
        beside = folder.with_name(in_main_language(PUBLISHING, view.words.lang, languages))
        write_text(beside, publishing_markdown(view, for_publisher))
        paths.append(beside)
    return PublishedFolder(tuple(paths), tuple(notices))


def _sources(
    files: Sequence[PublishedFile], matrices: Sequence[PublishedMatrix], run_dir: Path
) -> list[tuple[Path, str]]:
    """Return the path of each file, and its name in the folder."""
    found = [(_arm_path(one.arm, run_dir), one.file_name) for one in files]
    return found + [(run_dir / IMATRICES / PurePath(one.matrix["file"]).name, one.file_name) for one in matrices]


def _arm_path(arm: Json, run_dir: Path) -> Path:
    """Return the path of an arm's file: in this run directory if it is there, else where the results say."""
    recorded = Path(arm.get("path") or arm["file"])
    here = run_dir / ARTIFACTS / recorded.parent.name / recorded.name
    return here if exists(here) else recorded


def _link_all(sources: Sequence[tuple[Path, str]], folder: Path, notices: list[str]) -> list[Path]:
    made = []
    for source, name in sources:
        if exists(source):
            link_or_copy(source, folder / name)
            made.append(folder / name)
        else:
            (folder / name).unlink(missing_ok=True)
            notices.append(Notice("file_not_published", source=source.name, folder=folder.name, name=name))
    return made


def link_or_copy(source: Path, target: Path) -> None:
    """Make `target` a hard link to `source`; if that fails, a symbolic link; if that also fails, a copy."""
    if exists(target) and os.path.samefile(source, target):
        return
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    for make in (os.link, os.symlink):
        temporary.unlink(missing_ok=True)
        try:
            make(source.resolve(), temporary)
        except OSError:  # another device, or a file system without such links
            continue
        os.replace(temporary, target)
        return
    with atomic_path(target) as copy:
        shutil.copyfile(source, copy)
