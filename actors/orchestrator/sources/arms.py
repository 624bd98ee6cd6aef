"""Describes models and arms: by a file's header and hash, and by the manifest beside it if this project made it.

An arm may also be an endpoint, or a GGUF that somebody else made. Such a GGUF is loaded once and compared with the
model: does it have the same tokenizer, special tokens and chat template?
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlunsplit

from actors.llama.gguf_file import read_header
from actors.llama.gguf_layout import read_layout
from actors.llama.model import Model
from actors.orchestrator.sources.addresses import checked_address
from actors.orchestrator.sources.hashes import HashCache, gguf_sha256
from actors.orchestrator.sources.inputs import SourceArm, SourceModel
from actors.orders import Endpoint
from actors.stored_files import ArmFiles
from conf.faults import BadInput, Fault
from conf.files import read_object
from conf.schema.execution import Endpoints
from conf.schema.models import NamedPath
from reporting.notices import Notice


def source_model(name: str, path: str, origin: Mapping[str, Any] | None, hashes: HashCache) -> SourceModel:
    """Describe a model by its header, its hash and, if this project made the file, its manifest.

    Raises:
        BadInput: it is not a complete GGUF of a model, or llama.cpp cannot load it.
    """
    header = read_header(path)
    sha256 = gguf_sha256(header, hashes.sha256)
    hashes.check_once(header, sha256, key="--model", got=f"{name}={header.path}")
    return SourceModel(
        name=name,
        path=str(header.path),
        sha256=sha256,
        architecture=header.architecture,
        n_parameters=header.n_parameters,
        size_bytes=header.size_bytes,
        kv_bytes_per_cell=header.kv_bytes_per_cell,
        source_type=header.file_type,
        # An f16 file that this project dequantized is no more exact than the file that it was made from.
        dequantized_from=header.dequantized_from or _manifest_of(header.path, sha256).get("dequantized_from"),
        origin=origin,
        labels=header.labels,
    )


def endpoint_arm(arm: NamedPath, settings: Endpoints) -> SourceArm:
    """Return the arm behind an endpoint, given as `http(s)://HOST/v1#MODEL`. Raise `BadInput` for a bad address."""
    allowed = "the address of an endpoint and its model: http://HOST:PORT/v1#MODEL"
    parts = checked_address(arm.path, key="--arm", name=arm.name, allowed=allowed, key_variable="OPENAI_API_KEY")
    if not parts.fragment:
        raise BadInput(Fault("--arm", f"{arm.name}={arm.path}", allowed))
    url = urlunsplit(parts._replace(fragment=""))
    endpoint = Endpoint(url, parts.fragment, settings.concurrency, settings.timeout_s, settings.attempts)
    return SourceArm(arm.name, arm.path, endpoint=endpoint)


def source_arm(name: str, path: str, origin: Mapping[str, Any] | None, hashes: HashCache) -> SourceArm:
    """Describe an existing GGUF by its header and, if this project made it, by the manifest beside it.

    Raises:
        BadInput: it is not a complete GGUF, or llama.cpp cannot load it.
    """
    header = read_header(path, key="--arm")
    sha256 = gguf_sha256(header, hashes.sha256)
    hashes.check_once(header, sha256, key="--arm", got=f"{name}={path}")
    manifest = _manifest_of(header.path, sha256)
    return SourceArm(
        name=name,
        path=path,
        sha256=sha256,
        size_bytes=header.size_bytes,
        bits_per_weight=header.bits_per_weight,
        recipe=manifest.get("recipe", header.file_type.lower()),
        imatrix=(manifest.get("imatrix") or {}).get("file"),
        dequantized_from=manifest.get("dequantized_from"),
        fallbacks=manifest.get("fallbacks"),
        types=dict(sorted(Counter(tensor.type.lower() for tensor in header.tensors).items())),
        origin=origin,
    )


_TOKENIZER = ("tokenizer.ggml.model", "tokenizer.ggml.pre", "tokenizer.ggml.tokens", "tokenizer.ggml.merges")
_CHAT_TEMPLATE = "tokenizer.chat_template"
_READING = {
    "other_space_prefix": "tokenizer.ggml.add_space_prefix",
    "other_end_token": "tokenizer.ggml.add_eos_token",
    "other_token_scores": "tokenizer.ggml.scores",
    "other_token_types": "tokenizer.ggml.token_type",
}
"""What else decides how a text becomes tokens: the key in the file, by the code of what a notice says."""


def prompt_notices(arm: SourceArm, model: SourceModel) -> tuple[str, ...]:
    """Return a notice if an arm's tokenizer, special tokens or chat template differ from the model's.

    The arm then gets other tokens for the same prompt.
    """
    ours, theirs = read_layout(Path(model.path)).raw, read_layout(Path(arm.path)).raw
    differing = []
    if any(ours.get(key) != theirs.get(key) for key in _TOKENIZER):
        differing.append("other_tokenizer")
    if _special_tokens(model.path) != _special_tokens(arm.path):
        differing.append("other_special_tokens")
    if ours.get(_CHAT_TEMPLATE) != theirs.get(_CHAT_TEMPLATE):
        differing.append("other_chat_template" if _CHAT_TEMPLATE in theirs else "no_chat_template")
    differing += [code for code, key in _READING.items() if key in ours and ours[key] != theirs.get(key, ours[key])]
    if not differing:
        return ()
    what = [Notice(code) for code in differing]
    return (Notice("differs_beside_weights", arm=arm.name, model=model.name, what=what),)


def _special_tokens(path: str) -> tuple[int, int, bool]:
    """Return the tokens for begin and end of text, and whether the first is added to prompts.

    llama.cpp is asked, not the file, because it has defaults for what a file leaves out.
    """
    with Model(path, vocab_only=True) as vocabulary:
        return vocabulary.bos, vocabulary.eos, vocabulary.adds_bos


def _manifest_of(path: Path, sha256: str) -> Mapping[str, Any]:
    """Return the manifest that `jobs.quantize` or a pipeline wrote for exactly this file, or an empty one."""
    for files in (ArmFiles.in_shared_folder(path), ArmFiles.in_own_folder(path)):
        manifest = read_object(files.manifest)
        if manifest is not None and manifest.get("sha256") == sha256 and _is_sound(manifest):
            return manifest
    return {}


def _is_sound(manifest: Mapping[str, Any]) -> bool:
    """Return whether the fields of a manifest that are used here have their types."""
    kinds = {"recipe": str, "imatrix": dict, "dequantized_from": str, "fallbacks": dict}
    return all(isinstance(manifest[name], kind) for name, kind in kinds.items() if manifest.get(name) is not None)
