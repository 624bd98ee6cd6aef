"""The orders that quantization workers get: collect an importance matrix, make one GGUF."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from actors.llama.devices import DeviceUse
from actors.recipes import Recipe
from conf.schema.protection import TokenWeights


@dataclass(frozen=True)
class CalibrationText:
    """A calibration text: its path and the hash of its content."""

    path: str
    sha256: str
    share: float
    """Fraction of the tokens that is taken from it. The shares of an order add up to 1."""
    source: Mapping[str, Any] | None = field(default=None, hash=False)
    """Where the rows of a data set come from: repository, commit, files, split, column, rows. None: a plain file."""


GROUP_CHUNKS = 8
"""Chunks per group when an importance matrix is collected: each group is summed by itself, then the groups' sums are
added. A floating-point sum depends on its grouping, so this number is in every matrix's key and file."""


@dataclass(frozen=True)
class ChunkRules:
    """How calibration texts are cut into chunks, apart from chunk size and shares."""

    chunk_shuffle_seed: int | None = None
    """None: take the first chunks of each text, one text after the other. A seed: draw each text's chunks from the
    whole text, and shuffle the chunks of all texts."""
    parse_special: bool = False
    """True: read `<|...|>` in a text as the special token of that name."""
    chat_template: bool = False
    """True: treat paragraphs as turns of user and assistant, and put them through the model's chat template."""


@dataclass(frozen=True)
class ImatrixOrder:
    """Collect an importance matrix."""

    model_path: str
    mix: str
    texts: tuple[CalibrationText, ...]
    dataset_size: int
    """Number of tokens in total, rounded down to whole chunks."""
    ctx: int
    """Tokens per chunk."""
    threads: int
    """Threads that decode. Sums in floating point depend on it."""
    gpu_layers: int
    output_path: str
    key: dict[str, Any] = field(hash=False)
    """Everything that the file's hash is made of. The manifest holds it too."""
    rules: ChunkRules = ChunkRules()
    token_weights: TokenWeights | None = None
    """How much each token counts. None: every token counts once."""
    devices: DeviceUse | None = None
    """The devices of those layers. None: all that the worker has, or none if there are no such layers."""

    @property
    def group_tokens(self) -> tuple[int, ...]:
        """Number of tokens of each group of chunks. The last group may have fewer."""
        n_chunks = self.dataset_size // self.ctx
        starts = range(0, n_chunks, GROUP_CHUNKS)
        return tuple(min(GROUP_CHUNKS, n_chunks - start) * self.ctx for start in starts)


@dataclass(frozen=True)
class QuantizeOrder:
    """Make one GGUF, read it back, verify it, and then write its manifest."""

    arm: str
    model_path: str
    model_name: str
    recipe: Recipe
    imatrix_path: str | None
    threads: int
    """Threads of the work. The file does not depend on it, so the orchestrator sets what the worker was given."""
    output_path: str
    """`<run>/artifacts/<arm>-<hash8>/<model>-<RECIPE>.gguf`. `manifest.json` and `log.txt` are in the same folder."""
    dequantized_from: str | None
    """The type of a source that was already quantized, such as `Q4_1`. None: it was not."""
    key: dict[str, Any] = field(hash=False)
    """Everything that the file's hash is made of."""
    measured_path: str | None = None
    """File that keeps the quantization errors measured for this model with this importance matrix, for all its arms.
    None: they are not kept."""
