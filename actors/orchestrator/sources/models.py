"""Turns what `--model` and `--arm` name into GGUF files on this machine: finds them, then fetches and converts them.

Finding is cheap and reports what is wrong with a name before anything is downloaded: a missing path, a repository that
may not be read, a folder without weights. Fetching downloads and converts, and shows its progress. Everything fetched
is cached, so the second time only the hub is asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from actors.hashing import content_hash
from actors.hub import Hub, Snapshot
from actors.llama.gguf_file import read_header
from actors.llama.gguf_layout import first_part, part_names
from actors.orchestrator.sources.hashes import HashCache
from actors.orchestrator.sources.reporter import Reporter
from actors.quantization.checkpoint import (
    INDEX,
    Checkpoint,
    check_kind,
    read_checkpoint,
    read_object,
    small_files,
    weight_files,
)
from actors.quantization.convert import convert
from actors.quantization.converter import converter_version
from conf.environment import read_environment
from conf.faults import BadInput, Fault
from conf.hub_ids import HubId, parse_hub_id
from conf.load import resolve_path


@dataclass(frozen=True)
class Found:
    """A model or arm that was found, as far as can be seen without downloading it."""

    spec: str
    """What the user wrote."""
    key: str
    """The flag that fault messages name."""
    path: Path | None = None
    """A GGUF or a folder on this machine."""
    checkpoint: Checkpoint | None = None
    """The checkpoint, if `path` is its folder."""
    snapshot: Snapshot | None = None
    """A repository on the hub. Its id names the file in it, if one was asked for."""


@dataclass(frozen=True)
class Fetched:
    """A model or arm as a GGUF on this machine."""

    path: str
    """The first part of a split GGUF."""
    origin: Mapping[str, Any] | None = field(default=None, hash=False)
    """Where it came from, for plan, manifests and report. None for a local GGUF."""


def find(spec: str, *, key: str, is_model: bool, hub: Hub | None = None) -> Found:
    """Find what a name stands for. Only the list of files is downloaded from a repository.

    Args:
        spec: what the user wrote: a path, or a name on the hub.
        key: the flag that fault messages name.
        is_model: True for a model, which may also be a checkpoint. An arm must be a GGUF.
        hub: where to look for repositories; None: the Hugging Face hub.

    Raises:
        BadInput: it is missing, incomplete, or of a kind that cannot be used.
    """
    hub_id = parse_hub_id(spec, key=key)
    if hub_id is not None:
        return _find_in_hub(spec, hub_id, key=key, is_model=is_model, hub=hub or Hub())
    path = first_part(Path(resolve_path(spec, key=key)))
    if path.is_dir() and is_model:
        return Found(spec, key, path, checkpoint=read_checkpoint(path, path.name, key=key, got=spec))
    if path.suffix == ".safetensors":
        raise BadInput(
            Fault(key, spec, "a GGUF file, or the folder of a checkpoint", f"Name its folder: {path.parent}.")
        )
    read_header(path, key=key)
    return Found(spec, key, path)


def _find_in_hub(spec: str, hub_id: HubId, *, key: str, is_model: bool, hub: Hub) -> Found:
    snapshot = hub.snapshot(hub_id, key=key)
    if hub_id.file is None:
        if not is_model:
            ggufs = sorted(name for name in snapshot.files if name.endswith(".gguf"))[:5]
            step = f"It has {', '.join(ggufs)}." if ggufs else "It has none."
            raise BadInput(Fault(key, spec, f"a GGUF file: {hub_id}/path/file.gguf", step))
        check_kind(snapshot.files.keys(), key=key, got=str(hub_id))
    elif not hub_id.file.endswith(".gguf"):
        raise BadInput(Fault(key, spec, "a .gguf file of a repository, or a repository without a file"))
    else:
        missing = [name for name in part_names(hub_id.file) if name not in snapshot.files]
        if missing:
            known = sorted(name for name in snapshot.files if name.endswith(".gguf"))
            step = f"It has {', '.join(known[:8])}{', ...' if len(known) > 8 else ''}." if known else "It has no GGUFs."
            raise BadInput(Fault(key, spec, f"a file of {hub_id.repository} (there is no {missing[0]})", step))
    return Found(spec, key, snapshot=snapshot)


def fetch(found: Found, reporter: Reporter, *, hub: Hub | None = None) -> Fetched:
    """Download and convert what was found, unless it is a GGUF on this machine or in the cache.

    Args:
        found: what `find` returned.
        reporter: shows the progress.
        hub: where to download from; None: the Hugging Face hub.

    Raises:
        BadInput: as `find` does, and for too little disk space, a connection that stays broken, or a failed
            conversion.
    """
    if found.checkpoint is not None:
        return _convert(found.checkpoint, found.key, {}, reporter)
    if found.snapshot is None:
        return Fetched(str(found.path))
    hub, snapshot = hub or Hub(), found.snapshot
    if snapshot.id.file is not None:
        names = part_names(snapshot.id.file)
        folder = _download(hub, snapshot, names, found.key, reporter)
        read_header(folder / names[0], key=found.key)
        return Fetched(str(folder / names[0]), {**snapshot.origin, "file": names[0]})
    folder = _download(hub, snapshot, small_files(snapshot.files.keys()), found.key, reporter)
    got = str(snapshot.id)
    index = read_object(folder / INDEX, key=found.key, got=got) if INDEX in snapshot.files else None
    weights = weight_files(snapshot.files.keys(), index, key=found.key, got=got)
    missing = [name for name in weights if name not in snapshot.files]
    if missing:
        allowed = f"a repository with all files that {INDEX} names (missing: {', '.join(missing[:3])})"
        raise BadInput(Fault(found.key, found.spec, allowed, "Name another revision."))
    _download(hub, snapshot, weights, found.key, reporter)
    name = PurePosixPath(snapshot.id.repository).name
    return _convert(read_checkpoint(folder, name, key=found.key, got=got), found.key, snapshot.origin, reporter)


def _download(hub: Hub, snapshot: Snapshot, names: Sequence[str], key: str, reporter: Reporter) -> Path:
    what = f"downloading {snapshot.id.repository}@{snapshot.commit[:8]}"
    with reporter.transfer(what, total_bytes=hub.missing_bytes(snapshot, names)) as report:
        return hub.fetch(snapshot, names, key=key, report=report)


def _convert(checkpoint: Checkpoint, key: str, origin: Mapping[str, Any], reporter: Reporter) -> Fetched:
    cache = read_environment().cache_dir
    hashes = HashCache(cache, reporter)
    with reporter.transfer(f"converting {checkpoint.name}", total_bytes=checkpoint.gguf_bytes) as report:
        converted = convert(
            checkpoint,
            cache,
            sha256=lambda path: hashes.sha256(str(path)),
            key=key,
            say=reporter.say,
            report=report,
        )
    hashes.save()
    details = {
        "converter": converter_version(),
        "outtype": checkpoint.outtype,
        "checkpoint_sha256": content_hash(converted.manifest["key"]["files"]),
    }
    return Fetched(str(converted.gguf), {**origin, **details})
