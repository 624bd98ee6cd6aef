"""KL divergence of an arm from its reference: one pass of ours compared with two runs of llama-perplexity.

Their first run decodes the reference and writes its log-probabilities to a file. The second decodes the arm and reads
them. Their time is the sum of both. Ours is the work of one order in its own process, with the start of Python, and
writes only records.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from actors.evaluation.benchmarks.chunks import CONTEXT_TOKENS, chunk_items
from actors.items import Item, Scorer
from actors.llama.file_types import resolve_type
from actors.llama.layout import EngineLayout
from actors.llama.model import Model
from actors.llama.quantizer import quantize
from actors.orders import BlockOrder, PassOrder, ReferenceModel
from conf.schema.answers import Sampling
from conf.schema.execution import Layout
from tests.bench import programs
from tests.bench.frame import Bench, Measure, Setting, Target, in_turn
from tests.bench.models import model_file, text_file

ARM = "q4_k_m"


@dataclass(frozen=True)
class _Run:
    wall_s: float
    peak_rss_mb: float
    written_mb: float
    """Size of what is left on disk, in 10^6 bytes."""


def run(setting: Setting) -> Sequence[Measure]:
    """Measure every model."""
    return [measure for name in setting.models for measure in _measures(setting, name)]


def _measures(setting: Setting, name: str) -> list[Measure]:
    reference = model_file(name, setting.folder)
    arm = reference.with_name(f"{name}-{ARM}.gguf")
    if not arm.exists():
        quantize(reference, arm, resolve_type(ARM), imatrix=None, threads=setting.threads)
    order = pass_order(setting, reference, arm)
    program = programs.find("llama-perplexity")
    ours, theirs = in_turn(
        setting.repeats,
        lambda: _ours(order, setting),
        (lambda: _theirs(program, reference, arm, setting)) if program else None,
    )

    def measure(what: str, unit: str, values: str, target: Target | None) -> Measure:
        sides = [tuple(getattr(one, values) for one in side) for side in (ours, theirs)]
        return Measure("divergence", name, what, unit, False, sides[0], sides[1], target)

    return [
        measure("whole", "s", "wall_s", Target(least_ratio=1.0)),
        measure("peak memory", "MB", "peak_rss_mb", None),
        measure("written", "MB", "written_mb", None),
    ]


def pass_order(setting: Setting, reference: Path, arm: Path) -> PassOrder:
    """Make an order for `setting.chunks` chunks through the reference and one arm; both write records."""
    with Model(reference, vocab_only=True) as vocabulary:
        questions = chunk_items(text_file(setting.folder).read_text(encoding="utf-8"), vocabulary)
    items = tuple(Item(one.item_id, one.task, None, one.item_id) for one in questions[: setting.chunks])
    layout = chunk_layout(setting.threads)
    blocks = [
        BlockOrder(
            arm=path.stem,
            gguf_path=str(path),
            benchmark="perplexity_pydoc",
            scorer=Scorer("measured"),
            items=items,
            seeds=(0,),
            sampling=Sampling(),
            layout=layout,
            records_path=str(setting.folder / f"{path.stem}.records.jsonl"),
            reference=ReferenceModel(str(reference), layout),
        )
        for path in (reference, arm)
    ]
    return PassOrder(tuple(blocks), setting.threads)


def chunk_layout(threads: int) -> EngineLayout:
    """Return the layout that a pipeline uses for chunks, with this number of threads."""
    usual = Layout()
    return EngineLayout(
        threads=threads,
        sequences=1,
        n_batch=usual.n_batch,
        n_ubatch=usual.n_ubatch,
        n_ctx=CONTEXT_TOKENS,
        kv_unified=True,
        flash_attention=usual.flash_attention,
        gpu_layers=0,
    )


def _ours(order: PassOrder, setting: Setting) -> _Run:
    task = setting.folder / "pass-order.pickle"
    task.write_bytes(pickle.dumps(order))
    child = programs.run_ours(task)
    written = sum(Path(block.records_path).stat().st_size for block in order.blocks)
    return _Run(child.wall_s, child.peak_rss_mb, written / 1e6)


def _theirs(program: str, reference: Path, arm: Path, setting: Setting) -> _Run:
    base = setting.folder / "base-logits.bin"
    common = ("-c", CONTEXT_TOKENS, "-t", setting.threads, "--no-repack", "--kl-divergence-base", base)
    text = ("-f", text_file(setting.folder), "--chunks", setting.chunks)
    first = programs.run(program, "-m", reference, *common, *text)
    second = programs.run(program, "-m", arm, *common, "--kl-divergence")
    written = base.stat().st_size
    base.unlink()
    return _Run(first.wall_s + second.wall_s, max(first.peak_rss_mb, second.peak_rss_mb), written / 1e6)


BENCH = Bench("KL divergence, compared with two runs of llama-perplexity", run)
