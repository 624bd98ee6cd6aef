"""Files of data sets on the Hugging Face hub, at a pinned revision, through huggingface_hub and its cache.

HF_ENDPOINT, HF_TOKEN and HF_HOME mean what they mean to huggingface_hub. A revision is a commit, so a file that is in
the cache is the file, and nobody is asked. Content is checked against its sha256 wherever a source states one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from httpx2 import HTTPError
from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import LocalEntryNotFoundError
from huggingface_hub.utils.tqdm import disable_progress_bars

from actors.store import file_sha256
from conf.faults import BadInput, Fault


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
class HubDoor:
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
        try:
            return self._get(file, local_files_only=True)
        except LocalEntryNotFoundError:
            return None

    def _downloaded(self, file: HubFile, instead: str) -> Path:
        disable_progress_bars()
        try:
            # Asked first, for hf_hub_download tries for half a minute where there is no network at all.
            HfApi(endpoint=self.endpoint).repo_info(file.repository, repo_type="dataset", revision=file.revision)
            return self._get(file, local_files_only=False)
        except (HTTPError, OSError) as error:
            raise BadInput(
                Fault(
                    "data_dir",
                    None,
                    f"a folder that holds {instead}, or a hub that hands out {file}",
                    f"Give --data-dir, or check the network, HF_ENDPOINT and HF_TOKEN ({type(error).__name__}).",
                )
            ) from error

    def _get(self, file: HubFile, *, local_files_only: bool) -> Path:
        got = hf_hub_download(
            file.repository,
            file.path,
            repo_type="dataset",
            revision=file.revision,
            endpoint=self.endpoint,
            cache_dir=self.cache_dir,
            local_files_only=local_files_only,
        )
        return Path(got)


HUB = HubDoor()
"""The hub as the user's environment has it."""
