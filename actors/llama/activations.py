"""Watching a model compute: for each weight matrix, how large the inputs of its columns are.

`cb_eval` of llama.cpp shows every tensor of a graph as soon as it is computed. Sums of squares are kept here in
float64, over short runs of tokens (llama-imatrix keeps float32); groups, files and manifests are
`actors.quantization`'s.

Two things are not done, which change no bit of the sums: matrices that share one input (query, key and value; gate and
up) share its sum, and a graph is left where the last matrix's input is there, before the product with it and before the
output head, which can be a fifth of a small model's work and whose importance is not collected.
"""

from __future__ import annotations

import collections
import ctypes
import itertools
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
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
_OUTPUT = b"result_output"
"""Name of what a graph is computed for, in llama.cpp."""
_ABORT = llama_cpp.ggml_abort_callback(lambda _data: True)

_RUN_TOKENS = 16
"""Tokens whose products are added in float32, before float64 takes over."""


@dataclass(frozen=True)
class TensorActivations:
    """What went into one weight matrix."""

    sum_squares: NDArray[np.float64]
    """(experts or 1, columns): sums over tokens of the squared inputs."""
    counts: NDArray[np.float64]
    """(experts or 1,): tokens that each sum is over; where tokens have weights, the sum of those."""

    def __add__(self, other: Self) -> TensorActivations:
        return TensorActivations(self.sum_squares + other.sum_squares, self.counts + other.counts)


Chunk = tuple[Sequence[int], NDArray[np.float32] | None]
"""Tokens, and the weight of each (tokens,), positive; None counts each once."""
Sums = dict[str, TensorActivations]
"""By tensor name, in alphabetical order."""


class ActivationCollector:
    """Decodes chunks of tokens, and sums up the squares of what goes into each weight matrix.

    A token may have a weight w: its squares x² then count as w·x², in the sums of every layer alike. (From the first
    attention on, a position's activations hold something of the tokens before it; their weights do not enter there.)
    """

    def __init__(self, model: Model, *, ctx: int, threads: int) -> None:
        """Make a context for chunks of up to `ctx` tokens. Raises `LlamaError` where llama.cpp cannot."""
        self._sums: Sums = {}
        self._weights: NDArray[np.float32] | None = None
        """Of the tokens of the graph that runs; None where each counts once."""
        self._failure: BaseException | None = None
        self._graph = _Graph(None)
        self._endings: dict[int, _Ending] = {}
        """Of a chunk's last graph, by its tokens: foreseen, or known once one such graph has run to its end."""
        self._is_looking = False
        self._n_vocab = model.n_vocab
        # The callback must outlive the context.
        self._callback = llama_cpp.ggml_backend_sched_eval_callback(self._on_tensor)
        params = llama_cpp.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = ctx, min(ctx, MAX_BATCH), min(ctx, MAX_BATCH)
        params.n_threads = params.n_threads_batch = threads
        params.cb_eval = self._callback
        with library.captured_log() as log:
            self._handle = llama_cpp.llama_init_from_model(model.handle, params)
        if not self._handle:
            raise LlamaError(f"llama.cpp cannot make a context of {ctx} tokens for {model.path}", log[-5:])
        self._batch = llama_cpp.llama_batch_init(params.n_batch, 0, 1)
        # Not the main thread: a signal's handler would run there as soon as llama.cpp calls Python, before the first
        # line of the callback; ctypes prints what it raises and goes on, with one tensor unseen.
        self._thread = ThreadPoolExecutor(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave the graph that runs, if one does, forget the chunks that wait, and free the context."""
        if self._handle:
            self._failure = self._failure or LlamaError("the decoding was stopped")
            self._thread.shutdown(cancel_futures=True)
            llama_cpp.llama_batch_free(self._batch)
            llama_cpp.llama_free(self._handle)
            self._handle = None

    def begin(self, chunk: Chunk) -> Future[Sums]:
        """Run one chunk through the model from an empty memory, after those that were begun before.

        Once it has failed, a collector can only be closed.

        Raises:
            LlamaError: here, a token is not in the vocabulary; in the result, llama.cpp failed, or weights were given
                and the rows of a matrix's input are no tokens.
        """
        tokens, _ = chunk
        if not all(0 <= token < self._n_vocab for token in tokens):
            raise LlamaError("a chunk holds a token outside of the vocabulary")
        return self._thread.submit(self._decode, *chunk)

    def _decode(self, tokens: Sequence[int], weights: NDArray[np.float32] | None) -> Sums:
        self._sums = {}
        if len(tokens) <= MAX_BATCH and len(tokens) not in self._endings:
            self._foresee(tokens)
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self._handle), True)
        for start in range(0, len(tokens), MAX_BATCH):
            part = tokens[start : start + MAX_BATCH]
            # Only the last graph is left early: nothing that it computes is needed by another one.
            is_last = start + len(part) == len(tokens)
            self._graph = _Graph(self._endings.get(len(part)) if is_last else None)
            self._weights = None if weights is None else weights[start : start + MAX_BATCH]
            self._fill(part, start)
            status = llama_cpp.llama_decode(self._handle, self._batch)
            if self._failure is not None:
                raise self._failure
            if status != 0:
                raise LlamaError(f"llama_decode failed with {status}", library.log_tail()[-5:])
            if is_last:
                ending = self._endings.setdefault(len(part), self._graph.seen())
                if ending.n_watched != self._graph.n_watched:
                    raise LlamaError(f"graphs of {len(part)} tokens do not all use the same weight matrices")
        # The watching happens while the graph runs: only when it is done are the sums whole.
        llama_cpp.llama_synchronize(self._handle)
        return dict(sorted(self._sums.items()))

    def _foresee(self, tokens: Sequence[int]) -> None:
        """Have the graph of these tokens built and asked about, but not computed: where it ends is known then.

        Where llama.cpp asks about a part of it only (it computes the part of one device before it asks about the next
        one's), nothing is learned, and the first graph is run to its end instead.
        """
        self._fill(tokens, 0)
        self._graph, self._is_looking = _Graph(None), True
        llama_cpp.llama_set_abort_callback(self._handle, _ABORT, None)
        llama_cpp.llama_decode(self._handle, self._batch)
        llama_cpp.llama_set_abort_callback(self._handle, llama_cpp.ggml_abort_callback(), None)
        self._is_looking = False
        if self._graph.is_whole:
            self._endings[len(tokens)] = self._graph.seen()

    def _fill(self, tokens: Sequence[int], first_position: int) -> None:
        self._batch.n_tokens = len(tokens)
        for index, token in enumerate(tokens):
            self._batch.token[index] = token
            self._batch.pos[index] = first_position + index
            self._batch.n_seq_id[index] = 1
            self._batch.seq_id[index][0] = 0
            # Asked for of every token: else the last block is pruned to one row, and its tensors get no data.
            self._batch.logits[index] = 1

    def _on_tensor(self, address: int, ask: bool, _data: Any) -> bool:
        """llama.cpp first asks whether a tensor is wanted, then shows it; False in answer to the showing stops it."""
        try:
            tensor = ggml.Tensor.from_address(address)
            if self._is_looking:
                self._look_at(tensor)
                return False
            ending = self._graph.ending_with(tensor)
            if ask:
                return ending is not None or (self._wants(tensor) and not self._is_known(tensor))
            if self._failure is None and ending is not None:
                self._keep(ending.weight, _dense_sums(tensor, ending.stacked, ending.weight, self._weights))
            elif self._failure is None:
                self._add(tensor)
        except BaseException as error:  # ctypes would print it and go on; `_decode` raises it
            self._failure = error
        return self._failure is None and not self._graph.is_through

    def _look_at(self, tensor: ggml.Tensor) -> None:
        self._graph.is_whole |= tensor.name == _OUTPUT
        if self._wants(tensor):
            self._graph.n_watched += 1
            self._graph.last = _Product.of(tensor) if ggml.op_name(tensor) == "MUL_MAT" else None

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
            self._keep(_weight_name(tensor), found)
        return found is not None

    def _add(self, tensor: ggml.Tensor) -> None:
        if ggml.op_name(tensor) == "MUL_MAT_ID":
            self._graph.last = None
            made = _expert_sums(tensor, self._weights)
        else:
            last = self._graph.last = _Product.of(tensor)
            made = _dense_sums(tensor.src[1].contents, last.stacked, last.weight, self._weights)
        self._graph.inputs[_input_key(tensor)] = made
        self._keep(_weight_name(tensor), made)

    def _keep(self, name: str, seen: TensorActivations) -> None:
        self._graph.n_watched += 1
        before = self._sums.get(name)
        if before is not None and before.sum_squares.shape != seen.sum_squares.shape:
            shapes = f"{before.sum_squares.shape} and {seen.sum_squares.shape}"
            raise LlamaError(f"{name} is used with inputs of two shapes: {shapes}")
        self._sums[name] = seen if before is None else before + seen


def decode_in_turn(collectors: Sequence[ActivationCollector], chunks: Iterable[Chunk]) -> Iterator[Sums]:
    """The sums of each chunk, in the order of the chunks; they are dealt to the collectors in turn.

    Where one collector does what a single thread does (sums, llama.cpp's copies, its waits at each barrier), the others
    go on. They share the model at most: the sums of a chunk are the same with any number of them.

    Raises:
        LlamaError: as `ActivationCollector.begin` and its result do; the collectors can only be closed then, as they
            can where not all chunks are waited for.
    """
    begun: collections.deque[Future[Sums]] = collections.deque()
    for collector, chunk in zip(itertools.cycle(collectors), chunks):
        begun.append(collector.begin(chunk))
        # One waits at each collector, so that it has work while the other's sums are awaited.
        if len(begun) == 2 * len(collectors):
            yield begun.popleft().result()
    while begun:
        yield begun.popleft().result()


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
    inputs: dict[tuple[int, ...], TensorActivations] = field(default_factory=dict)
    """By `_input_key`."""

    is_whole: bool = False
    """Whether the output was asked about, where all that is done is to look."""

    def seen(self) -> _Ending:
        """Where it ended."""
        return _Ending(self.n_watched, self.last)

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
) -> TensorActivations:
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
    return TensorActivations(sums.reshape(1, -1), np.array([outer * inner * counted], np.float64))


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


def _expert_sums(tensor: ggml.Tensor, weights: NDArray[np.float32] | None) -> TensorActivations:
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
    return TensorActivations(sums, counts)


def _of_rows(weights: NDArray[np.float32], n_rows: int, weight: str) -> NDArray[np.float32]:
    """The weights, one a row of the input. Raises `LlamaError` where rows are something else than tokens."""
    if len(weights) != n_rows:
        raise LlamaError(
            f"{weight} gets {n_rows} rows for {len(weights)} tokens: which token a row belongs to is not "
            "known, so it cannot be weighted"
        )
    return weights
