"""What a model or arm is named by: a path, or a repository of the Hugging Face hub at a revision.

Only names are looked at here (and whether such a path exists, for that goes first); fetching is `actors.hub`'s.

    owner/name[@REVISION]                a repository, by its id
    owner/name@REVISION/path/file.gguf   a file in it
    hf:owner/name[@REVISION][/path/...]  the same, whatever lies in the working directory
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from conf.faults import BadInput, Fault

SCHEME = "hf:"
DEFAULT_REVISION = "main"
_PART = r"[A-Za-z0-9][\w.-]*"
# A branch with a slash in its name cannot be told from a path: its commit can be named.
_SPEC = re.compile(
    rf"(?P<owner>{_PART})/(?P<name>{_PART})(?:@(?P<revision>refs/pr/\d+|[^/@\s]+))?(?:/(?P<file>[^\s].*))?", re.ASCII
)
_SPLIT_PART = re.compile(r"-\d{5}-of-\d{5}$")


@dataclass(frozen=True)
class HubId:
    """A repository at a revision, or a file in it."""

    repository: str
    """`owner/name`."""
    revision: str = DEFAULT_REVISION
    """Branch, tag or commit."""
    file: str | None = None

    def __str__(self) -> str:
        return f"{SCHEME}{self.repository}@{self.revision}" + (f"/{self.file}" if self.file else "")


def parse_hub_id(spec: str, *, key: str = "--model") -> HubId | None:
    """The repository that `spec` names, or None for a path.

    Without `hf:` a path that exists goes first; so does one into a folder that exists, which is a typing error rather
    than an owner's name; and a .gguf file in a repository needs its revision.

    Raises:
        BadInput: `hf:` with something else than an id behind it.
    """
    explicit = spec.startswith(SCHEME)
    match = _SPEC.fullmatch(spec.removeprefix(SCHEME))
    if not match:
        if explicit:
            raise BadInput(Fault(key, spec, f"{SCHEME}owner/name[@REVISION][/path/file.gguf]"))
        return None
    is_path = Path(spec).exists() or Path(match["owner"]).is_dir()
    names_file = match["file"] is not None or match["name"].endswith(".gguf")
    if not explicit and (is_path or (names_file and match["revision"] is None)):
        return None
    return HubId(f"{match['owner']}/{match['name']}", match["revision"] or DEFAULT_REVISION, match["file"])


def stem_of(spec: str) -> str:
    """What a model is named after: the file's or the repository's name, without `.gguf` and the number of a part."""
    hub_id = parse_hub_id(spec)
    path = PurePosixPath(hub_id.file or hub_id.repository) if hub_id else Path(spec)
    return _SPLIT_PART.sub("", path.name.removesuffix(".gguf"))
