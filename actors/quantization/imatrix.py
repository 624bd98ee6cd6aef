"""Collecting an importance matrix: texts through the model, activations into a file, and its manifest last.

The numbers come from `actors.llama.activations`, the chunks from `calibration`, the format from `imatrix_file`.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from actors.llama import library
from actors.llama.activations import ActivationCollector
from actors.llama.gguf_file import read_header
from actors.llama.model import Model
from actors.quantization.calibration import Calibration, TextUse, make_chunks
from actors.quantization.imatrix_file import Imatrix, write_imatrix
from actors.quantization.memory import peak_rss_bytes
from actors.store import atomic_path, file_sha256, read_json, write_json
from actors.work import ImatrixOrder, ReportTokens


@dataclass(frozen=True)
class ImatrixManifest:
    """What is known of a collected importance matrix; the file being there is the done-mark."""

    key: dict[str, Any]
    mix: str
    file: str
    """Name of the matrix's file, in the manifest's folder."""
    sha256: str
    n_tokens: int
    n_chunks: int
    ctx: int
    texts: tuple[TextUse, ...]
    n_tensors: int
    """Weight matrices with data."""
    tensors_without_data: tuple[str, ...]
    """Matrices of the blocks that no token reached, in whole or in some of their experts."""
    seconds: float
    """Of the decoding alone."""
    tokens_per_second: float
    peak_rss_bytes: int
    """Of the worker process so far."""
    versions: dict[str, str]


def manifest_path(output_path: str | Path) -> Path:
    """`<output>.manifest.json`."""
    path = Path(output_path)
    return path.with_name(path.name + ".manifest.json")


def collect(order: ImatrixOrder, report: ReportTokens) -> ImatrixManifest:
    """Collect the matrix, write its file, and its manifest last.

    Args:
        report: told the tokens of each chunk when it is done.

    Raises:
        BadInput: an unusable model or text, or too few tokens for `--dataset-size`.
        LlamaError: llama.cpp failed, or activations were not finite.
    """
    read_header(order.model_path)
    with Model(order.model_path, gpu_layers=order.gpu_layers) as model:
        calibration = make_chunks(model, order.texts, dataset_size=order.dataset_size, ctx=order.ctx)
        started = time.perf_counter()
        imatrix = _decode(model, calibration, order, report)
        seconds = time.perf_counter() - started
    # Until the new one is written, no manifest may vouch for what is changing.
    manifest_path(order.output_path).unlink(missing_ok=True)
    with atomic_path(order.output_path) as temporary:
        write_imatrix(temporary, imatrix)
    tokens = len(calibration.chunks) * order.ctx
    manifest = ImatrixManifest(
        key=order.key,
        mix=order.mix,
        file=Path(order.output_path).name,
        sha256=file_sha256(order.output_path),
        n_tokens=tokens,
        n_chunks=len(calibration.chunks),
        ctx=order.ctx,
        texts=calibration.texts,
        n_tensors=len(imatrix.entries),
        tensors_without_data=tuple(name for name, entry in imatrix.entries.items() if not entry.counts.all()),
        seconds=seconds,
        tokens_per_second=tokens / seconds,
        peak_rss_bytes=peak_rss_bytes(),
        versions=library.build(),
    )
    write_json(manifest_path(order.output_path), asdict(manifest))
    return manifest


def load_manifest(path: str | Path) -> ImatrixManifest:
    """Read back the manifest of an importance matrix."""
    row = read_json(path)
    texts = tuple(TextUse(**text) for text in row.pop("texts"))
    without = tuple(row.pop("tensors_without_data"))
    return ImatrixManifest(texts=texts, tensors_without_data=without, **row)


def _decode(model: Model, calibration: Calibration, order: ImatrixOrder, report: ReportTokens) -> Imatrix:
    with ActivationCollector(model, ctx=order.ctx, threads=order.threads) as collector:
        for chunk in calibration.chunks:
            collector.decode(chunk)
            report(len(chunk))
        entries = collector.statistics()
    return Imatrix(entries, tuple(use.name for use in calibration.texts), len(calibration.chunks), order.ctx)
