"""Collect an importance matrix: decode the texts group by group, write the sum to a file, and its manifest last.

`decoder` decodes the groups, in one process or several. `groups` stores them. `imatrix_file` defines the file format.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from actors.hashing import file_sha256
from actors.llama.library import versions
from actors.orders import ReportTokens
from actors.quantization.calibration import CalibrationChunks, TextUse
from actors.quantization.decoder import GroupDecoder
from actors.quantization.groups import Group, add_up
from actors.quantization.imatrix_file import Imatrix, write_imatrix
from actors.quantization.weighting import TokenWeighting, weighting_from_json
from actors.quantization_orders import GROUP_CHUNKS, ChunkRules, ImatrixOrder
from actors.stored_files import ImatrixFiles
from conf.files import atomic_path, read_json, remove, remove_leftovers, write_json


@dataclass(frozen=True)
class ImatrixManifest:
    """What is known about a collected importance matrix. The manifest is written last: it marks the matrix as done."""

    key: dict[str, Any]
    mix: str
    file: str
    """File name of the matrix, in the manifest's folder."""
    sha256: str
    n_tokens: int
    n_chunks: int
    ctx: int
    group_chunks: int
    """Chunks per group. Each group is summed, then the groups are added in order."""
    rules: ChunkRules
    texts: tuple[TextUse, ...]
    n_tensors: int
    """Number of weight matrices with data."""
    tensors_without_data: tuple[str, ...]
    """Matrices in the blocks that no token reached; also those where only some experts were not reached."""
    seconds: float
    """Decoding time, summed over the groups. If processes shared the work, this is more than the elapsed time."""
    n_processes: int
    """Number of processes that decoded groups, in parallel or one after another."""
    tokens_per_second: float
    """Tokens divided by `seconds`: the speed of one process."""
    peak_rss_bytes: int
    """Peak memory of the largest process that decoded a group."""
    versions: dict[str, str]
    token_weighting: TokenWeighting | None
    """None if all tokens count the same."""


def collect(order: ImatrixOrder, report: ReportTokens) -> ImatrixManifest:
    """Collect the missing groups, add up all groups, write the file, and write its manifest last.

    Args:
        report: called with the tokens of each chunk when it is done, and of all groups that were saved before.

    Raises:
        BadInput: the model or a text is unusable, too few tokens for `--dataset-size`, or too little memory.
        LlamaError: llama.cpp failed, or activations were not finite.
    """
    with GroupDecoder() as decoder:
        decoder.decode(order, range(len(order.group_tokens)), report)
        return merge(order, decoder, report)


def collect_shard(order: ImatrixOrder, shard: int, n_shards: int, report: ReportTokens) -> None:
    """Collect every `n_shards`-th group, starting at group `shard`. `collect` adds them up later.

    Raises:
        BadInput, LlamaError: see `collect`.
    """
    with GroupDecoder() as decoder:
        decoder.decode(order, range(shard, len(order.group_tokens), n_shards), report)


def merge(order: ImatrixOrder, decoder: GroupDecoder, report: ReportTokens) -> ImatrixManifest:
    """Add up all groups, write the file, and write its manifest last. Missing groups are decoded here.

    Args:
        report: called with the tokens that are decoded here. Groups that were saved before are not reported.

    Raises:
        BadInput, LlamaError: see `collect`.
    """
    prepared = decoder.prepare(order)
    numbers = range(len(order.group_tokens))
    decoder.decode(order, [number for number in numbers if not prepared.parts.has(number)], report)
    total = add_up(prepared.parts.load(number) for number in numbers)
    names, n_chunks = tuple(use.name for use in prepared.calibration.texts), len(prepared.calibration.chunks)
    remove_leftovers(Path(order.output_path).parent)
    # Remove the old manifest first: it must not describe a file that is being replaced.
    remove(ImatrixFiles(order.output_path).manifest)
    with atomic_path(order.output_path) as temporary:
        matrix = Imatrix(total.entries, names, n_chunks, order.ctx, prepared.calibration.weighting)
        write_imatrix(temporary, matrix, group_chunks=GROUP_CHUNKS)
    manifest = _describe(order, prepared.calibration, total)
    write_json(ImatrixFiles(order.output_path).manifest, asdict(manifest))
    prepared.parts.remove()
    return manifest


def load_manifest(path: str | Path) -> ImatrixManifest:
    """Read the manifest of an importance matrix."""
    row = read_json(path)
    texts = tuple(TextUse(**text) for text in row.pop("texts"))
    without = tuple(row.pop("tensors_without_data"))
    rules = ChunkRules(**row.pop("rules"))
    # Older manifests have no token weights and no process count. Then one process did all the work.
    weighting = row.pop("token_weighting", None)
    row.setdefault("n_processes", 1)
    return ImatrixManifest(
        texts=texts,
        tensors_without_data=without,
        rules=rules,
        token_weighting=weighting_from_json(weighting) if weighting else None,
        **row,
    )


def _describe(order: ImatrixOrder, calibration: CalibrationChunks, total: Group) -> ImatrixManifest:
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
