"""Access to the Hugging Face hub: list the files of a repository at a revision, and download them into the hub's cache.

Everything goes through huggingface_hub, so HF_ENDPOINT, HF_TOKEN, HF_HOME and HF_HUB_OFFLINE work as usual, and files
that another program has downloaded are not downloaded again. huggingface_hub 2.4 cannot resume a large file that a
killed process began. This module can: it downloads large files into a partial file beside their place in the cache.
Failures become bad input with the next step to take. No message contains a token.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx2
from filelock import FileLock
from huggingface_hub import HfApi, constants, hf_hub_download, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.file_download import http_get, repo_folder_name
from huggingface_hub.utils import (  # type: ignore[attr-defined]
    build_hf_headers,
    disable_progress_bars,
    tqdm,
)

from conf.faults import BadInput, Fault
from conf.hub_ids import HubId

RepositoryType = Literal["model", "dataset"]
ReportBytes = Callable[[int], None]
"""Called with the number of bytes received since the last call. Negative if some must be received again."""

DISK_SLACK_BYTES = 256 * 2**20
_COMMIT = re.compile(r"[0-9a-f]{40}")
# Large files are stored by their sha256, small ones by git's sha1.
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Snapshot:
    """The files of a repository at one commit."""

    id: HubId
    kind: RepositoryType
    commit: str
    files: Mapping[str, int]
    """Size in bytes by path."""

    @property
    def origin(self) -> dict[str, Any]:
        """Repository, revision and commit, for manifests and reports."""
        return {"repository": self.id.repository, "revision": self.id.revision, "commit": self.commit}


class Hub:
    """The hub, and this user's cache of it on this machine."""

    def __init__(self, *, endpoint: str | None = None, cache_dir: Path | None = None) -> None:
        """Use HF_ENDPOINT and HF_HUB_CACHE by default, as huggingface_hub reads them."""
        self._endpoint = endpoint or constants.ENDPOINT
        self._cache = cache_dir or Path(constants.HF_HUB_CACHE)
        self._api = HfApi(endpoint=self._endpoint)
        # The jobs show their own progress over all files.
        disable_progress_bars()

    def snapshot(self, hub_id: HubId, *, kind: RepositoryType = "model", key: str) -> Snapshot:
        """Look up a revision: return its commit and its files.

        The cache answers instead if HF_HUB_OFFLINE is set. It also answers if the hub does not, but only for a revision
        that is a commit.

        Raises:
            BadInput: no such repository or revision, no permission, or no answer.
        """
        try:
            info = self._api.repo_info(hub_id.repository, repo_type=kind, revision=hub_id.revision, files_metadata=True)
        except (OfflineModeIsEnabled, httpx2.TransportError) as error:
            cached = self._cached(hub_id, kind)
            if cached is not None and (isinstance(error, OfflineModeIsEnabled) or cached.commit == hub_id.revision):
                return cached
            raise self._bad_input(error, hub_id, kind, key) from error
        except (httpx2.HTTPError, HFValidationError) as error:
            raise self._bad_input(error, hub_id, kind, key) from error
        files = {sibling.rfilename: sibling.size or 0 for sibling in getattr(info, "siblings", None) or ()}
        return Snapshot(hub_id, kind, str(info.sha), files)

    def missing_bytes(self, snapshot: Snapshot, names: Iterable[str]) -> int:
        """Return how many bytes of these files are not in the cache yet."""
        return sum(snapshot.files[name] for name in names if not self._is_cached(snapshot, name))

    def fetch(self, snapshot: Snapshot, names: Iterable[str], *, key: str, report: ReportBytes) -> Path:
        """Download files into the cache, and return the folder of the snapshot, with each file at its path.

        Raises:
            BadInput: too little disk space, no permission, or a connection that stays broken. Downloaded bytes are
                kept.
        """
        missing = [name for name in names if not self._is_cached(snapshot, name)]
        self._check_disk(snapshot, missing, key)
        for name in missing:
            try:
                self._fetch_one(snapshot, name, report)
            except (httpx2.HTTPError, OSError, _OtherContentError) as error:
                raise self._bad_input(error, snapshot.id, snapshot.kind, key, file=name) from error
        return self._folder(snapshot.id, snapshot.kind) / "snapshots" / snapshot.commit

    def _fetch_one(self, snapshot: Snapshot, name: str, report: ReportBytes) -> None:
        repository, repository_type, commit = snapshot.id.repository, snapshot.kind, snapshot.commit
        url = hf_hub_url(repository, name, repo_type=repository_type, revision=commit, endpoint=self._endpoint)
        metadata = self._api.get_hf_file_metadata(url=url)
        size, etag = metadata.size, metadata.etag or ""
        # Above 50 GB the hub has its own way of serving files, which only hf_hub_download knows.
        if _SHA256.fullmatch(etag) and size is not None and size <= constants.MAX_HTTP_DOWNLOAD_SIZE:
            blob = self._folder(snapshot.id, snapshot.kind) / "blobs" / etag
            lock = self._cache / ".locks" / blob.parent.parent.name / f"{etag}.begun.lock"
            _resume(url, blob, lock, size_bytes=size, report=report)
        else:
            report(snapshot.files[name])
        hf_hub_download(
            repository,
            name,
            repo_type=repository_type,
            revision=commit,
            cache_dir=self._cache,
            endpoint=self._endpoint,
        )

    def _folder(self, hub_id: HubId, kind: RepositoryType) -> Path:
        return self._cache / repo_folder_name(repo_id=hub_id.repository, repo_type=kind)

    def _is_cached(self, snapshot: Snapshot, name: str) -> bool:
        found = try_to_load_from_cache(
            snapshot.id.repository, name, cache_dir=self._cache, revision=snapshot.commit, repo_type=snapshot.kind
        )
        return isinstance(found, str)

    def _cached(self, hub_id: HubId, kind: RepositoryType) -> Snapshot | None:
        """Return the cached files of a revision. A branch or tag means the commit that it had at the last look-up."""
        folder, commit = self._folder(hub_id, kind), hub_id.revision
        if not _COMMIT.fullmatch(commit):
            ref = folder / "refs" / commit
            if not ref.is_file():
                return None
            commit = ref.read_text(encoding="utf-8").strip()
        root = folder / "snapshots" / commit
        files = {path.relative_to(root).as_posix(): path.stat().st_size for path in root.rglob("*") if path.is_file()}
        return Snapshot(hub_id, kind, commit, files) if files else None

    def _check_disk(self, snapshot: Snapshot, names: Iterable[str], key: str) -> None:
        self._cache.mkdir(parents=True, exist_ok=True)
        needed = sum(snapshot.files[name] for name in names) + DISK_SLACK_BYTES
        free = shutil.disk_usage(self._cache).free
        if needed > free:
            got = f"{snapshot.id} with {free / 2**30:.1f} GiB free in {self._cache}"
            allowed = f"a cache with {needed / 2**30:.1f} GiB free"
            raise BadInput(Fault(key, got, allowed, "Free some disk space, or name another folder with HF_HOME."))

    def _bad_input(
        self, error: Exception, hub_id: HubId, kind: RepositoryType, key: str, *, file: str | None = None
    ) -> BadInput:
        """Return the error as `BadInput`. Addresses of requests are left out, because they may contain secrets."""
        got, host = str(hub_id) + (f"/{file}" if file else ""), urlsplit(self._endpoint).hostname
        what = "data set" if kind == "dataset" else "model"
        match error:
            case OfflineModeIsEnabled():
                fault = Fault(key, got, "a cached revision, because HF_HUB_OFFLINE is set", "Unset it to download.")
            case GatedRepoError():
                step = "Accept its conditions on its page, and set HF_TOKEN to a token of that account."
                fault = Fault(key, got, f"a repository on {host} that you may read", step)
            case RepositoryNotFoundError():
                step = "Check the id; a private repository needs HF_TOKEN. (A path would have to exist.)"
                fault = Fault(key, got, f"a path, or the id of a {what} on {host} that you may read", step)
            case RevisionNotFoundError():
                fault = Fault(key, got, f"a branch, tag or commit of {hub_id.repository}", "Check the part behind @.")
            case RemoteEntryNotFoundError():
                fault = Fault(key, got, f"a file of {hub_id.repository} at {hub_id.revision}", "Check its path.")
            case HFValidationError():
                fault = Fault(key, got, "the id of a repository: owner/name", "Check it.")
            case HfHubHTTPError() if error.response.status_code in (401, 403):
                step = "Check HF_TOKEN: it is not accepted, or it gives no access to this repository."
                fault = Fault(key, got, f"a repository on {host} that you may read", step)
            case HfHubHTTPError():
                status = error.response.status_code
                fault = Fault(key, got, f"a repository that {host} serves (it answers {status})", "Try again later.")
            case _OtherContentError():
                fault = Fault(key, got, "a file with the announced content (its sha256 differs)", "Try again.")
            case OSError() if error.errno is not None:
                step = "Correct that, or name another folder with HF_HOME."
                fault = Fault(key, got, f"a cache that can be written ({self._cache}: {error.strerror})", step)
            case _:
                kept = " Downloaded bytes are kept: the same command continues from there." if file else ""
                step = f"Check the network and HF_ENDPOINT.{kept}"
                fault = Fault(key, got, f"a hub that answers ({host}: {type(error).__name__})", step)
        return BadInput(fault)


class _OtherContentError(Exception):
    """The downloaded content is not what the hub announced."""


def _resume(url: str, blob: Path, lock: Path, *, size_bytes: int, report: ReportBytes) -> None:
    """Download a file by its sha256, and continue where an earlier process stopped. One process at a time."""
    part = blob.with_name(f"{blob.name}.begun")
    for folder in (part.parent, lock.parent):
        folder.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):
        if not blob.exists():
            part.touch()
            if part.stat().st_size > size_bytes:
                part.write_bytes(b"")
            with part.open("r+b") as file:
                begun = file.seek(0, 2)
                report(begun)
                headers = build_hf_headers()
                http_get(
                    url,
                    file,
                    resume_size=begun,
                    headers=headers,
                    expected_size=size_bytes,
                    tqdm_class=_reporting(report),
                )
            if _sha256(part) != blob.name:
                part.unlink()
                raise _OtherContentError
            part.replace(blob)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _reporting(report: ReportBytes) -> type[tqdm]:
    """Return a progress bar class that shows nothing and passes the bytes to `report`."""

    class Reporting(tqdm):
        def update(self, n: float | None = 1) -> bool | None:
            report(int(n or 0))
            return None

    return Reporting
