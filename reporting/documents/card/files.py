"""Which files of a model are published, and the names that they have in the folder to upload."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from urllib.parse import quote

from markupsafe import Markup

from conf.names import spelled_name
from reporting.escape import markdown
from reporting.results_folder import Findings, Json
from reporting.wording import Lang

CARD = "README.md"
"""The model card, under the name that hubs show. In two languages it is in English, with `README.ja.md` beside it."""


@dataclass(frozen=True)
class PublishedFile:
    """A GGUF to publish: the arm that it belongs to, and its name in the folder."""

    arm: Json
    file_name: str


@dataclass(frozen=True)
class PublishedMatrix:
    """An importance matrix to publish: its entry in the results, and its name in the folder."""

    matrix: Json
    file_name: str


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
    return [PublishedFile(arm, name) for arm, name in zip(arms, _unique(chosen), strict=True)]


def published_matrices(findings: Findings, model: str, files: Sequence[PublishedFile]) -> list[PublishedMatrix]:
    """Return the importance matrices of the files: `<model>-imatrix.gguf`; several are named after their mixes, too."""
    used = {one.arm["imatrix"] for one in files}
    matrices = [one for one in findings.comparison["imatrices"] if one["name"] in used]
    stem = f"{safe_name(model)}-imatrix"
    names = [f"{stem}.gguf" if len(matrices) == 1 else f"{stem}-{safe_name(one['name'])}.gguf" for one in matrices]
    return [PublishedMatrix(one, name) for one, name in zip(matrices, _unique(names), strict=True)]


def _unique(names: Sequence[str]) -> list[str]:
    safe = [safe_name(name) for name in names]
    twice = Counter(safe)
    return [
        name if twice[name] == 1 else f"{PurePath(name).stem}-{place}.gguf" for place, name in enumerate(safe, start=1)
    ]


def safe_name(name: str) -> str:
    """Return a name that is valid as a file name on every system. Letters of every script stay."""
    return spelled_name(name).replace("~", "-").lstrip(".-") or "model"


def repository(model: str) -> str:
    """Return the repository that the card names. Only the publisher knows the owner, and puts it in."""
    return f"OWNER/{safe_name(model)}-GGUF"


def in_main_language(name: str, lang: Lang, languages: Sequence[Lang]) -> str:
    """Return the name of a file in one language, as hubs do it: `README.md` and `README.ja.md`.

    The plain name is the one that a hub shows. It is in English if the file is written in two languages.
    """
    main = "en" if "en" in languages else languages[0]
    return name if lang == main else str(PurePath(name).with_suffix(f".{lang}{PurePath(name).suffix}"))


def link(text: str, target: str) -> Markup:
    """Return a Markdown link to a file of the folder."""
    return Markup(f"[{markdown(text)}]({quote(target, safe='/')})")
