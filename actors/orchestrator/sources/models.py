"""What `--model` and `--arm` name, as GGUF files of this machine: found first, then fetched and converted.

Finding is cheap and tells what is wrong with a name before anything is brought: a path that is not there, a repository
that may not be read, a folder without weights. Bringing downloads and converts, and shows how far it is. Everything
brought is cached, so the second time costs nothing but a look at the hub.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from actors.hub import Hub, Snapshot
from actors.llama.gguf_file import read_header
from actors.llama.gguf_layout import first_part, part_names
from actors.orchestrator.sources.hashes import HashCache
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
from actors.store import content_hash
from conf.environment import read_environment
from conf.faults import BadInput, Fault
from conf.hub_ids import HubId, parse_hub_id
from conf.load import resolve_path
from jobs._counter import Transfer


@dataclass(frozen=True)
class Found:
    """A model or arm that is there, as far as can be seen without fetching it."""

    spec: str
    key: str
    path: Path | None = None
    """Of a GGUF or a folder on this machine."""
    checkpoint: Checkpoint | None = None
    """Of a folder on this machine."""
    snapshot: Snapshot | None = None
    """Of a repository; its id says which file in it, if any."""


@dataclass(frozen=True)
class Brought:
    """A model or arm as a GGUF of this machine."""

    path: str
    """Of a split one, the first part."""
    origin: Mapping[str, Any] | None = field(hash=False)
    """Where it came from, for plan, manifests and report; None for a file that was given."""


def find(spec: str, *, key: str, is_model: bool, hub: Hub | None = None) -> Found:
    """Look at what a name stands for; only a repository's list of files is fetched.

    Args:
        is_model: a checkpoint will do, which an arm may not be.

    Raises:
        BadInput: it is not there, not whole, or nothing that can be used.
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
        raise BadInput(Fault(key, spec, "a .gguf file of a repository, or a repository alone"))
    else:
        missing = [name for name in part_names(hub_id.file) if name not in snapshot.files]
        if missing:
            known = sorted(name for name in snapshot.files if name.endswith(".gguf"))
            step = f"It has {', '.join(known[:8])}{', ...' if len(known) > 8 else ''}." if known else "It has no GGUFs."
            raise BadInput(Fault(key, spec, f"a file of {hub_id.repository} (there is no {missing[0]})", step))
    return Found(spec, key, snapshot=snapshot)


def bring(found: Found, *, hub: Hub | None = None) -> Brought:
    """Fetch and convert what was found.

    Raises:
        BadInput: as `find`, and too little disk, a connection that stays broken, or a failed conversion.
    """
    if found.checkpoint is not None:
        return _converted(found.checkpoint, found.key, {})
    if found.snapshot is None:
        return Brought(str(found.path), None)
    hub, snapshot = hub or Hub(), found.snapshot
    if snapshot.id.file is not None:
        names = part_names(snapshot.id.file)
        folder = _fetch(hub, snapshot, names, found.key)
        read_header(folder / names[0], key=found.key)
        return Brought(str(folder / names[0]), {**snapshot.origin, "file": names[0]})
    folder = _fetch(hub, snapshot, small_files(snapshot.files.keys()), found.key)
    got = str(snapshot.id)
    index = read_object(folder / INDEX, key=found.key, got=got) if INDEX in snapshot.files else None
    weights = weight_files(snapshot.files.keys(), index)
    missing = [name for name in weights if name not in snapshot.files]
    if missing:
        allowed = f"a repository with all files that {INDEX} names (missing: {', '.join(missing[:3])})"
        raise BadInput(Fault(found.key, found.spec, allowed, "Name another revision."))
    _fetch(hub, snapshot, weights, found.key)
    name = PurePosixPath(snapshot.id.repository).name
    return _converted(read_checkpoint(folder, name, key=found.key, got=got), found.key, snapshot.origin)


def _fetch(hub: Hub, snapshot: Snapshot, names: Sequence[str], key: str) -> Path:
    what = f"downloading {snapshot.id.repository}@{snapshot.commit[:8]}"
    with Transfer(what, total_bytes=hub.missing_bytes(snapshot, names)) as transfer:
        return hub.fetch(snapshot, names, key=key, report=transfer.advance)


def _converted(checkpoint: Checkpoint, key: str, origin: Mapping[str, Any]) -> Brought:
    cache = read_environment().cache_dir
    hashes = HashCache(cache)
    with Transfer(f"converting {checkpoint.name}", total_bytes=checkpoint.gguf_bytes) as transfer:
        converted = convert(
            checkpoint,
            cache,
            sha256=lambda path: hashes.sha256(str(path)),
            key=key,
            say=lambda line: print(line, flush=True),
            report=transfer.advance,
        )
    hashes.save()
    details = {
        "converter": converter_version(),
        "outtype": checkpoint.outtype,
        "checkpoint_sha256": content_hash(converted.manifest["key"]["files"]),
    }
    return Brought(str(converted.gguf), {**origin, **details})
