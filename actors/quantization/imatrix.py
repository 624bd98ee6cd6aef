"""Collecting an importance matrix: texts through the model group by group, the sum into a file, its manifest last.

The numbers come from `actors.llama.activations`, the chunks from `calibration`, their groups from `groups`, the
format from `imatrix_file`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from actors.llama.activations import ActivationCollector
from actors.llama.gguf_file import read_header
from actors.llama.model import Model
from actors.machine import check_memory
from actors.quantization.calibration import Calibration, TextUse, make_chunks
from actors.quantization.groups import Group, PartsFolder, add_up, cut
from actors.quantization.imatrix_file import Imatrix, write_imatrix
from actors.quantization.memory import needed_to_collect, peak_rss_bytes
from actors.quantization.versions import versions
from actors.store import atomic_path, content_hash, file_sha256, read_json, remove_leftovers, write_json
from actors.work import GROUP_CHUNKS, ChunkRules, ImatrixOrder, ReportTokens


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
    group_chunks: int
    """Chunks a group: the sums are made group by group, and added in order."""
    rules: ChunkRules
    texts: tuple[TextUse, ...]
    n_tensors: int
    """Weight matrices with data."""
    tensors_without_data: tuple[str, ...]
    """Matrices of the blocks that no token reached, in whole or in some of their experts."""
    seconds: float
    """Of the decoding alone, added up over the groups: where processes shared them, more than passed by."""
    tokens_per_second: float
    """The same way: of one process."""
    peak_rss_bytes: int
    """Of the largest process that decoded a group."""
    versions: dict[str, str]


def manifest_path(output_path: str | Path) -> Path:
    """`<output>.manifest.json`."""
    path = Path(output_path)
    return path.with_name(path.name + ".manifest.json")


def collect(order: ImatrixOrder, report: ReportTokens) -> ImatrixManifest:
    """Collect the groups that are not there yet, add all of them up, write the file, and its manifest last.

    Args:
        report: told the tokens of each chunk when it is done, and of each group that is found done.

    Raises:
        BadInput: an unusable model or text, too few tokens for `--dataset-size`, or too little memory.
        LlamaError: llama.cpp failed, or activations were not finite.
    """
    work = _prepare(order)
    n_groups = len(cut(work.calibration.chunks))
    work.decode_missing(range(n_groups), report)
    total = add_up(work.parts.load(number) for number in range(n_groups))
    names, n_chunks = tuple(use.name for use in work.calibration.texts), len(work.calibration.chunks)
    remove_leftovers(Path(order.output_path).parent)
    # Until the new one is written, no manifest may vouch for what is changing.
    manifest_path(order.output_path).unlink(missing_ok=True)
    with atomic_path(order.output_path) as temporary:
        write_imatrix(temporary, Imatrix(total.entries, names, n_chunks, order.ctx), group_chunks=GROUP_CHUNKS)
    manifest = _describe(order, work.calibration, total)
    write_json(manifest_path(order.output_path), asdict(manifest))
    work.parts.remove()
    return manifest


def collect_shard(order: ImatrixOrder, shard: int, n_shards: int, report: ReportTokens) -> None:
    """Collect every `n_shards`-th group from `shard` on, and leave them to `collect`, which adds them up.

    Raises:
        BadInput, LlamaError: as `collect` does.
    """
    work = _prepare(order)
    work.decode_missing(range(shard, len(cut(work.calibration.chunks)), n_shards), report)


def check_room(order: ImatrixOrder) -> None:
    """Raise `BadInput` where this machine has too little memory to collect the matrix."""
    needed = needed_to_collect(read_header(order.model_path), order.ctx)
    check_memory(needed, f"collecting from {Path(order.model_path).name}")


def count_groups(order: ImatrixOrder) -> int:
    """How many groups an order has."""
    return -(-(order.dataset_size // order.ctx) // GROUP_CHUNKS)


def load_manifest(path: str | Path) -> ImatrixManifest:
    """Read back the manifest of an importance matrix."""
    row = read_json(path)
    texts = tuple(TextUse(**text) for text in row.pop("texts"))
    without = tuple(row.pop("tensors_without_data"))
    rules = ChunkRules(**row.pop("rules"))
    return ImatrixManifest(texts=texts, tensors_without_data=without, rules=rules, **row)


@dataclass(frozen=True)
class _Work:
    """What is common to all groups of an order."""

    order: ImatrixOrder
    calibration: Calibration
    parts: PartsFolder

    def decode_missing(self, numbers: Sequence[int], report: ReportTokens) -> None:
        """Decode and save the groups of `numbers` that are not saved yet; the model is loaded only if there are any."""
        groups = cut(self.calibration.chunks)
        missing = [number for number in numbers if not self.parts.has(number)]
        done = sum(len(groups[number]) for number in set(numbers).difference(missing)) * self.order.ctx
        if done:
            report(done)
        if not missing:
            return
        check_room(self.order)
        with (
            Model(self.order.model_path, gpu_layers=self.order.gpu_layers) as model,
            ActivationCollector(model, ctx=self.order.ctx, threads=self.order.threads) as collector,
        ):
            for number in missing:
                self.parts.save(number, _decode(collector, groups[number], report))


def _prepare(order: ImatrixOrder) -> _Work:
    read_header(order.model_path)
    with Model(order.model_path, vocab_only=True) as vocabulary:
        calibration = make_chunks(
            vocabulary, order.texts, dataset_size=order.dataset_size, ctx=order.ctx, rules=order.rules
        )
    # The key names model, texts, build and threads; the chunks themselves are what is decoded.
    chunks = [list(chunk) for chunk in calibration.chunks]
    identity = content_hash({"key": order.key, "chunks": chunks, "group": GROUP_CHUNKS})
    return _Work(order, calibration, PartsFolder(order.output_path, identity))


def _decode(collector: ActivationCollector, chunks: Sequence[Sequence[int]], report: ReportTokens) -> Group:
    started = time.perf_counter()
    collector.clear()
    for chunk in chunks:
        collector.decode(chunk)
        report(len(chunk))
    return Group(collector.statistics(), time.perf_counter() - started, peak_rss_bytes())


def _describe(order: ImatrixOrder, calibration: Calibration, total: Group) -> ImatrixManifest:
    tokens = len(calibration.chunks) * order.ctx
    return ImatrixManifest(
        key=order.key,
        mix=order.mix,
        file=Path(order.output_path).name,
        sha256=file_sha256(order.output_path),
        n_tokens=tokens,
        n_chunks=len(calibration.chunks),
        ctx=order.ctx,
        group_chunks=GROUP_CHUNKS,
        rules=order.rules,
        texts=calibration.texts,
        n_tensors=len(total.entries),
        tensors_without_data=tuple(name for name, entry in total.entries.items() if not entry.counts.all()),
        seconds=total.seconds,
        tokens_per_second=tokens / total.seconds,
        peak_rss_bytes=total.peak_rss_bytes,
        versions=versions(),
    )
