"""Files of data sets on the Hugging Face hub, at a pinned revision, through `actors.hub`.

A revision is a commit, so a file that is in the cache is the file, and nobody is asked. Content is checked against its
sha256 wherever a source states one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import try_to_load_from_cache

from actors.hub import Hub
from actors.store import file_sha256
from conf.faults import BadInput, Fault
from conf.hub_ids import HubId


@dataclass(frozen=True)
class HubFile:
    """One file of a data set repository."""

    repository: str
    revision: str
    """A commit: 40 hexadecimal digits."""
    path: str
    sha256: str | None
    """As a source states it; None where none was found: the revision alone pins the file then."""

    def __str__(self) -> str:
        return f"{self.repository}@{self.revision[:12]}/{self.path}"


@dataclass(frozen=True)
class DatasetHub:
    """Where files come from; by default the hub that HF_ENDPOINT names and the user's own cache."""

    endpoint: str | None = None
    cache_dir: Path | None = None

    def fetch(self, file: HubFile, *, instead: str) -> Path:
        """The file, downloaded where the cache does not have it.

        Args:
            file: what is wanted.
            instead: what the user can put into a data folder in its place, for the message.

        Raises:
            BadInput: the hub does not answer or does not hand it out, or hands out something else.
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
            return hub.fetch(snapshot, [file.path], key=str(file), report=_tell_nobody) / file.path
        except BadInput as error:
            allowed = f"a folder that holds {instead}, or a hub that hands out {file}"
            said = " ".join(str(fault) for fault in error.faults)
            raise BadInput(Fault("data_dir", None, allowed, f"Give --data-dir, or mend this: {said}")) from error


def _tell_nobody(n_bytes: int) -> None:
    """Data sets are small: no progress is shown."""


HUB = DatasetHub()
"""The hub as the user's environment has it."""
