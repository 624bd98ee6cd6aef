"""Models and arms as their files describe them: header, hash, and the manifest beside one of ours."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from actors.llama.gguf_file import GgufHeader, read_header
from actors.orchestrator.plan import SourceArm, SourceModel
from actors.store import file_sha256, read_json, write_json
from actors.work import Endpoint
from conf.faults import BadInput, Fault
from conf.load import resolve_path
from conf.schema import Endpoints, NamedPath


class HashCache:
    """sha256 of large files, kept by path, size and time of change, so that a model is read for it once."""

    def __init__(self, storage: Path) -> None:
        self._path = storage / ".file_hashes.json"
        self._known: dict[str, str] = {}
        if self._path.exists():
            self._known = json.loads(self._path.read_text(encoding="utf-8"))

    def sha256(self, path: str) -> str:
        stat = os.stat(path)
        name = f"{Path(path).resolve()}|{stat.st_size}|{stat.st_mtime_ns}"
        if name not in self._known:
            self._known[name] = file_sha256(path)
        return self._known[name]

    def save(self) -> None:
        """Keep what was learnt; the storage must exist."""
        write_json(self._path, self._known)


def source_model(model: NamedPath, header: GgufHeader, hashes: HashCache) -> SourceModel:
    path = resolve_path(model.path)
    sha256 = hashes.sha256(path)
    return SourceModel(
        name=model.name,
        path=path,
        sha256=sha256,
        architecture=header.architecture,
        n_parameters=header.n_parameters,
        size_bytes=header.size_bytes,
        kv_bytes_per_cell=header.kv_bytes_per_cell,
        source_type=header.file_type,
        # An f16 file that we dequantized ourselves is no more exact than what it was made from.
        dequantized_from=header.dequantized_from or _own_manifest(Path(path), sha256).get("dequantized_from"),
    )


def is_endpoint(path: str) -> bool:
    """Whether an arm is an OpenAI-compatible endpoint, and no file."""
    return path.startswith(("http://", "https://"))


def endpoint_arm(arm: NamedPath, settings: Endpoints) -> SourceArm:
    """An arm behind an endpoint, `http(s)://HOST/v1#MODEL`. Raises `BadInput`."""
    parts = urlsplit(arm.path)
    url = urlunsplit(parts._replace(fragment=""))
    if parts.username or parts.password:
        step = "Put the key into the environment, as OPENAI_API_KEY."
        raise BadInput(Fault("--arm", f"{arm.name}=(an address with a password)", "an address without one", step))
    if not parts.hostname or not parts.fragment:
        allowed = "the address of an endpoint and its model: http://HOST:PORT/v1#MODEL"
        raise BadInput(Fault("--arm", f"{arm.name}={arm.path}", allowed))
    endpoint = Endpoint(url, parts.fragment, settings.concurrency, settings.timeout_s, settings.attempts)
    return SourceArm(arm.name, arm.path, None, None, None, None, None, None, endpoint=endpoint)


def source_arm(arm: NamedPath, hashes: HashCache) -> SourceArm:
    """An existing GGUF by its header and, where it is one of ours, by the manifest beside it."""
    path = resolve_path(arm.path)
    header = read_header(path, key="--arm")
    sha256 = hashes.sha256(path)
    manifest = _own_manifest(Path(path), sha256)
    return SourceArm(
        name=arm.name,
        path=path,
        sha256=sha256,
        size_bytes=header.size_bytes,
        bits_per_weight=header.bits_per_weight,
        recipe=manifest.get("recipe", header.file_type.lower()),
        imatrix=(manifest.get("imatrix") or {}).get("file"),
        dequantized_from=manifest.get("dequantized_from"),
        fallbacks=manifest.get("fallbacks"),
    )


def _own_manifest(path: Path, sha256: str) -> Mapping[str, Any]:
    """The manifest that `jobs.quantize` or a pipeline wrote for exactly this file; empty where there is none."""
    for candidate in (path.with_suffix(".manifest.json"), path.with_name("manifest.json")):
        if candidate.exists():
            manifest = read_json(candidate)
            if isinstance(manifest, dict) and manifest.get("sha256") == sha256:
                return manifest
    return {}
