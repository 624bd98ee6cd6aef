"""The folder `publish/`, ready to upload: model card, GGUFs under publishers' names, importance matrices, charts.

Large files are hard links, so that they take no room; where the file system cannot, they are symbolic links, and
copies where it knows neither. The card is written last: a folder that has one is whole. A file that is not where the
results say (results that were moved, say) is left out with a notice.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from conf.files import atomic_path, exists, write_bytes, write_text
from reporting.documents.card.card import Published, card_markdown, published, safe_name
from reporting.documents.view import View
from reporting.file_names import ARTIFACTS, IMATRICES
from reporting.results_folder import Findings, Json

CARD = "README.md"


@dataclass(frozen=True)
class PublishedFiles:
    """What was put into the folder, and what is missing."""

    paths: tuple[Path, ...]
    notices: tuple[str, ...]


def publish(findings: Findings, view: View, run_dir: Path, charts_dir: Path, folder: Path) -> PublishedFiles:
    """Fill `folder`, or, of several models, one folder a model in it.

    Args:
        findings: the results.
        view: the same, ready for templates.
        run_dir: where `imatrix/` lies.
        charts_dir: where the charts lie.
        folder: `publish/`; made where it is missing.
    """
    paths: list[Path] = []
    notices: list[str] = []
    for model in findings.models:
        files = published(findings, model["name"])
        if not files:
            continue
        own = folder if len(findings.models) == 1 else folder / safe_name(model["name"])
        own.mkdir(parents=True, exist_ok=True)
        paths += _link_all(_sources(findings, files, run_dir), own, notices)
        for figure in view.figures:
            target = own / "charts" / f"{figure.name}.png"
            write_bytes(target, (charts_dir / f"{figure.name}.png").read_bytes())
            paths.append(target)
        write_text(own / CARD, card_markdown(findings, view, model, files))
        paths.append(own / CARD)
    return PublishedFiles(tuple(paths), tuple(notices))


def _sources(findings: Findings, files: Sequence[Published], run_dir: Path) -> list[tuple[Path, str]]:
    """Where each file lies, and its name in the folder."""
    found = [(_arm_path(one.arm, run_dir), one.file_name) for one in files]
    names = {one.arm["imatrix"] for one in files}
    for matrix in findings.comparison["imatrices"]:
        if matrix["name"] in names:
            name = PurePath(matrix["file"]).name
            found.append((run_dir / IMATRICES / name, safe_name(name)))
    return found


def _arm_path(arm: Json, run_dir: Path) -> Path:
    """As the results say; in this run directory where it was moved."""
    said = Path(arm.get("path") or arm["file"])
    moved = run_dir / ARTIFACTS / said.parent.name / said.name
    return moved if exists(moved) else said


def _link_all(sources: Sequence[tuple[Path, str]], folder: Path, notices: list[str]) -> list[Path]:
    made = []
    for source, name in sources:
        if exists(source):
            link(source, folder / name)
            made.append(folder / name)
        else:
            (folder / name).unlink(missing_ok=True)
            notices.append(f"{source.name} is not where the results say: {name} is not in the folder {folder.name}.")
    return made


def link(source: Path, target: Path) -> None:
    """Put `source` at `target` too: as a hard link, a symbolic link, or a copy, whichever works first."""
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
