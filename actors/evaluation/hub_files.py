"""Files of data sets on the Hugging Face hub at a pinned revision, downloaded through `actors.hub`.

A revision is a commit where one is known, so a cached file is the right one and the hub is not asked again. It is asked
which commit a tag names. The content is checked if its sha256 is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import try_to_load_from_cache

from actors.hashing import file_sha256
from actors.hub import Hub
from conf.faults import BadInput, Fault
from conf.hub_ids import HubId


@dataclass(frozen=True)
class HubFile:
    """One file of a data set repository."""

    repository: str
    revision: str
    """A commit: 40 hexadecimal digits. A tag where no commit is known."""
    path: str
    sha256: str | None
    """The published sha256. None: none was found, so only the revision pins the file."""

    def __str__(self) -> str:
        return f"{self.repository}@{self.revision[:12]}/{self.path}"


@dataclass(frozen=True)
class DatasetHub:
    """A hub and a download cache. By default: the hub that HF_ENDPOINT names, and the user's own cache."""

    endpoint: str | None = None
    cache_dir: Path | None = None

    def fetch(self, file: HubFile, *, instead: str) -> Path:
        """Return the path of a file, downloading it if it is not in the cache.

        Args:
            file: the file to get.
            instead: what the user can put into a data folder in its place, for the message.

        Raises:
            BadInput: the hub does not answer, does not give out the file, or gives out other content.
        """
        path = self._cached(file) or self._downloaded(file, instead)
        found = file_sha256(path)
        if file.sha256 is not None and found != file.sha256:
            allowed = f"content with sha256 {file.sha256}"
            raise BadInput(Fault(str(file), f"sha256 {found}", allowed, f"Delete {path} and try again."))
        return path

    def _cached(self, file: HubFile) -> Path | None:
        found = try_to_load_from_cache(
            file.repository, file.path, cache_dir=self.cache_dir, revision=file.revision, repo_type="dataset"
        )
        return Path(found) if isinstance(found, str) else None

    def _downloaded(self, file: HubFile, instead: str) -> Path:
        hub = Hub(endpoint=self.endpoint, cache_dir=self.cache_dir)
        try:
            snapshot = hub.snapshot(HubId(file.repository, file.revision), kind="dataset", key=str(file))
            if file.path not in snapshot.files:
                raise BadInput(Fault(str(file), "no such file", f"a file of {file.repository}"))
            return hub.fetch(snapshot, [file.path], key=str(file), report=_ignore) / file.path
        except BadInput as error:
            allowed = f"a folder that holds {instead}, or a hub that provides {file}"
            said = " ".join(str(fault) for fault in error.faults)
            raise BadInput(Fault("--data-dir", None, allowed, f"Give --data-dir, or fix this: {said}")) from error


def _ignore(n_bytes: int) -> None:
    """Show no progress, because data sets are small."""


HUB = DatasetHub()
"""The hub that the user's environment is set up for."""
