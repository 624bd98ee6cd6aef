"""Watching a model compute: for each weight matrix, how large the inputs of its columns are.

`cb_eval` of llama.cpp shows every tensor of a graph as soon as it is computed. Sums of squares are kept here in
float64, over short runs of tokens (llama-imatrix keeps float32); chunks, files and manifests are
`actors.quantization.imatrix`'s.

Two things are not done, which change no bit of the sums: matrices that share one input (query, key and value; gate and
up) share its sum, and a graph is left where the last matrix's input is there, before the product with it and before the
output head, which can be a fifth of a small model's work and whose importance is not collected.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import llama_cpp
import numpy as np
from numpy.typing import NDArray

from actors.errors import LlamaError
from actors.llama import ggml, library
from actors.llama.model import Model

_F32 = 0  # GGML_TYPE_F32
# Both rules are llama-imatrix's (tools/imatrix/imatrix.cpp): it passes over graphs of few tokens, and over matrices
# outside of the blocks (output.weight, whose importance it finds to do harm).
_MIN_TOKENS = 16
_PREFIX = "blk."
MAX_BATCH = 512
"""Tokens of a chunk in one graph."""
CHUNKS_A_GRAPH = 2
"""Short chunks are decoded side by side, each as a sequence of its own: larger products, and fewer waits for each."""
_MAX_LOGITS = 2**26
"""Of all tokens of a graph they are kept, twice: a quarter of a gigabyte each time."""

_RUN_TOKENS = 16
"""Tokens whose products are added in float32, before float64 takes over."""


@dataclass(frozen=True)
class TensorActivations:
    """What went into one weight matrix."""

    sum_squares: NDArray[np.float64]
    """(experts or 1, columns): sums over tokens of the squared inputs."""
    counts: NDArray[np.float64]
    """(experts or 1,): tokens that each sum is over; where tokens have weights, the sum of those."""


class ActivationCollector:
    """Decodes chunks of tokens, and sums up the squares of what goes into each weight matrix.

    A token may have a weight w: its squares x² then count as w·x², in the sums of every layer alike. (From the first
    attention on, a position's activations hold something of the tokens before it; their weights do not enter there.)
    """

    def __init__(self, model: Model, *, ctx: int, threads: int) -> None:
        """Make a context for chunks of up to `ctx` tokens. Raises `LlamaError` where llama.cpp cannot."""
        self._sums: dict[str, NDArray[np.float64]] = {}
        self._counts: dict[str, NDArray[np.float64]] = {}
        self._weights: NDArray[np.float32] | None = None
        """Of the tokens of the graph that runs; None where each counts once."""
        self._failure: BaseException | None = None
        self._graph = _Graph(None)
        self._endings: dict[int, _Ending] = {}
        """Of a chunk's last graph, by its tokens: known once one such graph has run to its end."""
        self._n_vocab = model.n_vocab
        self.n_side_by_side = 1 if model.has_state else chunks_a_graph(ctx, model.n_vocab)
        """Chunks that `decode` takes at once, at most. States of recurrent layers lie by sequence, not by token."""
        # The callback must outlive the context.
        self._callback = llama_cpp.ggml_backend_sched_eval_callback(self._on_tensor)
        self._part_size = min(ctx, MAX_BATCH)
        params = llama_cpp.llama_context_default_params()
        params.n_seq_max, params.kv_unified = self.n_side_by_side, False
        params.n_ctx = self.n_side_by_side * ctx
        params.n_batch = params.n_ubatch = self.n_side_by_side * self._part_size
        params.n_threads = params.n_threads_batch = threads
        params.cb_eval = self._callback
        with library.captured_log() as log:
            self._handle = llama_cpp.llama_init_from_model(model.handle, params)
        if not self._handle:
            raise LlamaError(f"llama.cpp cannot make a context of {ctx} tokens for {model.path}", log[-5:])
        self._batch = llama_cpp.llama_batch_init(params.n_batch, 0, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the context."""
        if self._handle:
            llama_cpp.llama_batch_free(self._batch)
            llama_cpp.llama_free(self._handle)
            self._handle = None

    def decode(
        self, chunks: Sequence[Sequence[int]], weights: Sequence[NDArray[np.float32] | None] | None = None
    ) -> None:
        """Run chunks of one length through the model side by side, each from an empty memory.

        Args:
            chunks: `n_side_by_side` of them, or fewer.
            weights: of each chunk (tokens,), positive; None, or None for all of them, counts each token once.

        Raises:
            LlamaError: a token is not in the vocabulary, llama.cpp failed, or weights were given and the rows of a
                matrix's input are no tokens.
        """
        if not all(0 <= token < self._n_vocab for chunk in chunks for token in chunk):
            raise LlamaError("a chunk holds a token outside of the vocabulary")
        (length,) = {len(chunk) for chunk in chunks}
        given = [one for one in weights or () if one is not None]
        of_tokens = np.stack(given) if given else None  # (chunks, tokens)
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self._handle), True)
        for start in range(0, length, self._part_size):
            end = min(start + self._part_size, length)
            n_tokens = len(chunks) * (end - start)
            # Only the chunks' last graph is left early: nothing that it computes is needed by another one.
            is_last = end == length
            self._graph = _Graph(self._endings.get(n_tokens) if is_last else None)
            self._weights = None if of_tokens is None else of_tokens[:, start:end].ravel()
            self._fill([chunk[start:end] for chunk in chunks], start)
            with self._nothing_lost():
                status = llama_cpp.llama_decode(self._handle, self._batch)
            if self._failure is not None:
                raise self._failure
            if status != 0:
                raise LlamaError(f"llama_decode failed with {status}", library.log_tail()[-5:])
            if is_last:
                ending = self._endings.setdefault(n_tokens, _Ending(self._graph.n_watched, self._graph.last))
                if ending.n_watched != self._graph.n_watched:
                    raise LlamaError(f"graphs of {n_tokens} tokens do not all use the same weight matrices")
        # The watching happens while the graph runs: only when it is done are the sums whole.
        llama_cpp.llama_synchronize(self._handle)

    def statistics(self) -> dict[str, TensorActivations]:
        """The sums so far, by tensor name in alphabetical order.

        Raises:
            LlamaError: a sum is not finite; an importance matrix of it would be garbage.
        """
        broken = [name for name, sums in self._sums.items() if not np.isfinite(sums).all()]
        if broken:
            raise LlamaError(f"activations are not finite in {', '.join(sorted(broken)[:5])}")
        return {
            name: TensorActivations(self._sums[name].copy(), self._counts[name].copy()) for name in sorted(self._sums)
        }

    def clear(self) -> None:
        """Forget the sums so far: the next chunk begins from zero."""
        self._sums.clear()
        self._counts.clear()

    def _fill(self, parts: Sequence[Sequence[int]], first_position: int) -> None:
        """One sequence a part, one after the other."""
        self._batch.n_tokens = sum(map(len, parts))
        index = 0
        for sequence, tokens in enumerate(parts):
            for position, token in enumerate(tokens, start=first_position):
                self._batch.token[index] = token
                self._batch.pos[index] = position
                self._batch.n_seq_id[index] = 1
                self._batch.seq_id[index][0] = sequence
                # Asked for of every token: else the last block is pruned to one row, and its tensors get no data.
                self._batch.logits[index] = 1
                index += 1

    @contextlib.contextmanager
    def _nothing_lost(self) -> Iterator[None]:
        """Keep what is raised before `_on_tensor` has begun: ctypes prints it and goes on, with one tensor unseen.

        That is no rare case but the rule: a signal comes while llama.cpp computes, and Python's handler runs (raises
        KeyboardInterrupt, say) as soon as Python is called, which is on the first line of the callback.
        """
        before = sys.unraisablehook

        def keep(lost: sys.UnraisableHookArgs) -> None:
            if lost.object == self._on_tensor:
                self._failure = self._failure or lost.exc_value
            else:
                before(lost)

        sys.unraisablehook = keep
        try:
            yield
        finally:
            sys.unraisablehook = before

    def _on_tensor(self, address: int, ask: bool, _data: Any) -> bool:
        """llama.cpp first asks whether a tensor is wanted, then shows it; False in answer to the showing stops it."""
        try:
            tensor = ggml.Tensor.from_address(address)
            ending = self._graph.ending_with(tensor)
            if ask:
                return ending is not None or (self._wants(tensor) and not self._is_known(tensor))
            if self._failure is None and ending is not None:
                self._keep(ending.weight, *_dense_sums(tensor, ending.stacked, ending.weight, self._weights))
            elif self._failure is None:
                self._add(tensor)
        except BaseException as error:  # ctypes would print it and go on; `decode` raises it, Ctrl-C too
            self._failure = error
        return self._failure is None and not self._graph.is_through

    def _wants(self, tensor: ggml.Tensor) -> bool:
        op = ggml.op_name(tensor)
        if op == "MUL_MAT_ID":
            return True
        if op != "MUL_MAT":
            return False
        inputs = tensor.src[1].contents
        return inputs.ne[1] >= _MIN_TOKENS and inputs.type == _F32 and _weight_name(tensor).startswith(_PREFIX)

    def _is_known(self, tensor: ggml.Tensor) -> bool:
        """Where another matrix of this graph has the same input, its sums are taken and nothing needs to be shown."""
        found = self._graph.inputs.get(_input_key(tensor))
        if found is not None:
            self._keep(_weight_name(tensor), *found)
        return found is not None

    def _add(self, tensor: ggml.Tensor) -> None:
        if ggml.op_name(tensor) == "MUL_MAT_ID":
            self._graph.last = None
            made = _expert_sums(tensor, self._weights)
        else:
            last = self._graph.last = _Product.of(tensor)
            made = _dense_sums(tensor.src[1].contents, last.stacked, last.weight, self._weights)
        self._graph.inputs[_input_key(tensor)] = made
        self._keep(_weight_name(tensor), *made)

    def _keep(self, name: str, sums: NDArray[np.float64], counts: NDArray[np.float64]) -> None:
        self._graph.n_watched += 1
        if name not in self._sums:
            self._sums[name], self._counts[name] = sums.copy(), counts.copy()
        elif self._sums[name].shape != sums.shape:
            raise LlamaError(f"{name} is used with inputs of two shapes: {self._sums[name].shape} and {sums.shape}")
        else:
            self._sums[name] += sums
            self._counts[name] += counts


def chunks_a_graph(ctx: int, n_vocab: int) -> int:
    """Chunks of `ctx` tokens that are decoded side by side."""
    fit = ctx <= MAX_BATCH and CHUNKS_A_GRAPH * ctx * n_vocab <= _MAX_LOGITS
    return CHUNKS_A_GRAPH if fit else 1


@dataclass(frozen=True)
class _Product:
    """What is needed of a dense matrix's product, to know its input again and sum it up before the product is made."""

    weight: str
    stacked: tuple[int, int]
    """Matrices in the weight: ne[2] and ne[3]."""
    input_address: int
    """Graphs of one shape are the same one, or built alike in the same memory; where not, the product is made."""
    input_name: bytes

    @classmethod
    def of(cls, tensor: ggml.Tensor) -> Self:
        weight, inputs = tensor.src[0].contents, tensor.src[1].contents
        stacked = (int(weight.ne[2]), int(weight.ne[3]))
        return cls(_weight_name(tensor), stacked, ctypes.addressof(inputs), inputs.name)


@dataclass(frozen=True)
class _Ending:
    """Where nothing more is watched in a graph."""

    n_watched: int
    """Matrices, with the last one."""
    last: _Product | None
    """None where it is one of experts."""


@dataclass
class _Graph:
    """What one call of `llama_decode` has shown so far."""

    ending: _Ending | None
    """None where it is not known: the graph runs to its end."""
    n_watched: int = 0
    last: _Product | None = None
    """The dense product that was shown last; None where one of experts was shown since."""
    inputs: dict[tuple[int, ...], tuple[NDArray[np.float64], NDArray[np.float64]]] = field(default_factory=dict)
    """Sums and counts by `_input_key`."""

    @property
    def is_through(self) -> bool:
        return self.ending is not None and self.n_watched == self.ending.n_watched

    def ending_with(self, tensor: ggml.Tensor) -> _Product | None:
        """The last product, if this is its input and all others were watched."""
        if self.ending is None or self.ending.last is None or self.n_watched != self.ending.n_watched - 1:
            return None
        last = self.ending.last
        is_input = ctypes.addressof(tensor) == last.input_address and tensor.name == last.input_name
        return last if is_input else None


def _input_key(tensor: ggml.Tensor) -> tuple[int, ...]:
    """Equal for products of one graph with the same sums: same input, routed alike, matrices stacked alike."""
    weight, inputs, routes = tensor.src[0].contents, tensor.src[1].contents, tensor.src[2]
    routed_by = ctypes.addressof(routes.contents) if routes else 0
    return (tensor.op, ctypes.addressof(inputs), routed_by, int(weight.ne[2]), int(weight.ne[3]))


def _weight_name(tensor: ggml.Tensor) -> str:
    """The weight's name; on a device it is shown as `CUDA0#blk.0.attn_k.weight#0`."""
    name = str(tensor.src[0].contents.name.decode())
    return name.split("#")[1] if "#" in name else name


def _dense_sums(
    inputs: ggml.Tensor, stacked: tuple[int, int], weight: str, weights: NDArray[np.float32] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sums (1, matrices * columns) and count (1,) of what goes into a `MUL_MAT` with `stacked` matrices."""
    activations = ggml.values(inputs, np.float32)  # (i3, i2, tokens, columns)
    n2, n3 = stacked
    n_tokens = activations.shape[2]
    # The product with a weight of 1 is exact, so that equal weights of 1 give the very bits of none.
    weighted = activations if weights is None else activations * _of_rows(weights, n_tokens, weight)[:, np.newaxis]
    per_input = _sums_of_products(weighted, activations)
    # A weight with fewer matrices than its input serves several of them in turn.
    outer, inner = per_input.shape[0] // n3, per_input.shape[1] // n2
    sums = per_input.reshape(outer, n3, inner, n2, -1).sum(axis=(0, 2))
    counted = n_tokens if weights is None else weights.sum(dtype=np.float64)
    return sums.reshape(1, -1), np.array([outer * inner * counted], np.float64)


def _sums_of_products(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float64]:
    """(i3, i2, columns): sums over the tokens of (i3, i2, tokens, columns), by runs of `_RUN_TOKENS` in float32.

    Sixteen products add less error than the file's own float32 does (4e-8), and take a third of the time that float64
    does, in which llama.cpp's threads wait.
    """
    whole = left.shape[2] // _RUN_TOKENS * _RUN_TOKENS
    runs = (*left.shape[:2], -1, _RUN_TOKENS, left.shape[3])
    parts = (left[:, :, :whole].reshape(runs), right[:, :, :whole].reshape(runs))
    sums: NDArray[np.float64] = np.einsum("abrtc,abrtc->abrc", *parts).sum(axis=2, dtype=np.float64)
    sums += np.einsum("abtc,abtc->abc", left[:, :, whole:], right[:, :, whole:])
    return sums


def _expert_sums(
    tensor: ggml.Tensor, weights: NDArray[np.float32] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sums (experts, columns) and counts (experts,) of a `MUL_MAT_ID`: each token counts for the experts it goes to."""
    weight, inputs, routes = (tensor.src[index].contents for index in range(3))
    activations = ggml.values(inputs, np.float32)[0]  # (tokens, slots or 1, columns)
    chosen = ggml.values(routes, np.int32)[0, 0]  # (tokens, slots)
    n_experts, n_columns = int(weight.ne[2]), activations.shape[-1]
    counted = (
        np.ones(len(chosen), np.float32) if weights is None else _of_rows(weights, len(chosen), _weight_name(tensor))
    )
    counts, sums = np.zeros(n_experts), np.zeros((n_experts, n_columns))
    for slot in range(chosen.shape[1]):
        squares = np.square(activations[:, slot % activations.shape[1]], dtype=np.float64)  # (tokens, columns)
        if weights is not None:
            squares *= weights[:, np.newaxis]
        counts += np.bincount(chosen[:, slot], counted, n_experts)
        order = np.argsort(chosen[:, slot], kind="stable")
        experts, starts = np.unique(chosen[order, slot], return_index=True)
        sums[experts] += np.add.reduceat(squares[order], starts, axis=0)
    return sums, counts


def _of_rows(weights: NDArray[np.float32], n_rows: int, weight: str) -> NDArray[np.float32]:
    """The weights, one a row of the input. Raises `LlamaError` where rows are something else than tokens."""
    if len(weights) != n_rows:
        raise LlamaError(
            f"{weight} gets {n_rows} rows for {len(weights)} tokens: which token a row belongs to is not "
            "known, so it cannot be weighted"
        )
    return weights
