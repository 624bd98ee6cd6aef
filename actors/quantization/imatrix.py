"""Collecting an importance matrix: texts through the model group by group, the sum into a file, its manifest last.

The groups are decoded by `decoder`, in one process or in many; they are kept by `groups`, the format is
`imatrix_file`'s.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from actors.llama.library import versions
from actors.orders import GROUP_CHUNKS, ChunkRules, ImatrixOrder, ReportTokens
from actors.quantization.calibration import Calibration, TextUse
from actors.quantization.decoder import GroupDecoder
from actors.quantization.groups import Group, add_up
from actors.quantization.imatrix_file import Imatrix, write_imatrix
from actors.quantization.weighting import TokenWeighting, weighting_of
from actors.store import ImatrixFiles, atomic_path, file_sha256, read_json, remove, remove_leftovers, write_json


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
    n_processes: int
    """Processes that decoded its groups, side by side or one after the other."""
    tokens_per_second: float
    """The same way: of one process."""
    peak_rss_bytes: int
    """Of the largest process that decoded a group."""
    versions: dict[str, str]
    token_weighting: TokenWeighting | None
    """None where every token counts once."""


def collect(order: ImatrixOrder, report: ReportTokens) -> ImatrixManifest:
    """Collect the groups that are not there yet, add all of them up, write the file, and its manifest last.

    Args:
        report: told the tokens of each chunk when it is done, and of each group that is found done.

    Raises:
        BadInput: an unusable model or text, too few tokens for `--dataset-size`, or too little memory.
        LlamaError: llama.cpp failed, or activations were not finite.
    """
    with GroupDecoder() as decoder:
        decoder.decode(order, range(len(order.group_tokens)), report)
        return merge(order, decoder, report)


def collect_shard(order: ImatrixOrder, shard: int, n_shards: int, report: ReportTokens) -> None:
    """Collect every `n_shards`-th group from `shard` on, and leave them to `collect`, which adds them up.

    Raises:
        BadInput, LlamaError: as `collect` does.
    """
    with GroupDecoder() as decoder:
        decoder.decode(order, range(shard, len(order.group_tokens), n_shards), report)


def merge(order: ImatrixOrder, decoder: GroupDecoder, report: ReportTokens) -> ImatrixManifest:
    """Add all groups up, write the file, and its manifest last; a group that is not there is decoded here.

    Args:
        report: told the tokens of what is decoded here, and nothing of what is found.

    Raises:
        BadInput, LlamaError: as `collect` does.
    """
    work = decoder.work(order)
    numbers = range(len(order.group_tokens))
    decoder.decode(order, [number for number in numbers if not work.parts.has(number)], report)
    total = add_up(work.parts.load(number) for number in numbers)
    names, n_chunks = tuple(use.name for use in work.calibration.texts), len(work.calibration.chunks)
    remove_leftovers(Path(order.output_path).parent)
    # Until the new one is written, no manifest may vouch for what is changing.
    remove(ImatrixFiles(order.output_path).manifest)
    with atomic_path(order.output_path) as temporary:
        matrix = Imatrix(total.entries, names, n_chunks, order.ctx, work.calibration.weighting)
        write_imatrix(temporary, matrix, group_chunks=GROUP_CHUNKS)
    manifest = _describe(order, work.calibration, total)
    write_json(ImatrixFiles(order.output_path).manifest, asdict(manifest))
    work.parts.remove()
    return manifest


def load_manifest(path: str | Path) -> ImatrixManifest:
    """Read back the manifest of an importance matrix."""
    row = read_json(path)
    texts = tuple(TextUse(**text) for text in row.pop("texts"))
    without = tuple(row.pop("tensors_without_data"))
    rules = ChunkRules(**row.pop("rules"))
    # Manifests of before there were weights say nothing of them, nor those of one process of its number.
    weighting = row.pop("token_weighting", None)
    row.setdefault("n_processes", 1)
    return ImatrixManifest(
        texts=texts,
        tensors_without_data=without,
        rules=rules,
        token_weighting=weighting_of(weighting) if weighting else None,
        **row,
    )


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
        n_processes=len(total.processes),
        tokens_per_second=tokens / total.seconds,
        peak_rss_bytes=total.peak_rss_bytes,
        versions=versions(),
        token_weighting=calibration.weighting,
    )
