"""Tell a path from a repository on the Hugging Face hub, in the text that names a model or an arm.

    owner/name[@REVISION]                a repository, by its id
    owner/name@REVISION/path/file.gguf   a file in it
    hf:owner/name[@REVISION][/path/...]  the same, even if such a path exists in the working directory

Only the name is examined here, and whether a path of that name exists, because an existing path is preferred.
`actors.hub` downloads.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from conf.faults import BadInput, Fault

SCHEME = "hf:"
DEFAULT_REVISION = "main"
_PART = r"[A-Za-z0-9][\w.-]*"
# A branch with a slash in its name cannot be told from a path. The user can name its commit instead.
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
    """Return the repository that `spec` names, or None if it is a path.

    Without `hf:`, `spec` is a path in three cases: such a path exists; its first folder exists (then the rest is more
    likely mistyped than an owner's repository); or it names a .gguf file without a revision.

    Raises:
        BadInput: `hf:` is followed by something other than an id.
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
    """Return the name of the file or repository, without `.gguf` and without the number of a split file's part."""
    hub_id = parse_hub_id(spec)
    path = PurePosixPath(hub_id.file or hub_id.repository) if hub_id else Path(spec)
    return _SPLIT_PART.sub("", path.name.removesuffix(".gguf"))
