"""Collect activation statistics: for each weight matrix, the sums of its squared inputs, per column.

llama.cpp calls `cb_eval` for every tensor of a graph as soon as the tensor is computed. The sums of squares are kept in
float64 (llama-imatrix uses float32). Groups of chunks, files and manifests are handled in `actors.quantization`.

Two shortcuts save time and change no bit of the sums:

- Matrices with the same input (query, key and value; gate and up) share one sum.
- A graph is aborted once the input of its last matrix is computed. The product with that matrix and the output head are
  skipped. The output head can be a fifth of a small model's work, and its importance is not collected.
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
from actors.llama.activation_sums import Product, TensorActivations, dense_sums, expert_sums, weight_name
from actors.llama.model import Model
from actors.llama.no_room import SMALLER_CHUNKS, context_error, decode_error

_F32 = 0  # GGML_TYPE_F32
# Both rules come from llama-imatrix (tools/imatrix/imatrix.cpp). It ignores graphs with few tokens. It also ignores
# matrices outside the blocks (output.weight), because their importance makes the quantized model worse.
_MIN_TOKENS = 16
_BLOCK_PREFIX = "blk."
MAX_BATCH = 512
"""Maximum number of a chunk's tokens in one graph."""
_OUTPUT_NAME = b"result_output"
"""llama.cpp's name of the tensor that holds a graph's result, the logits."""
_ABORT_ALWAYS = llama_cpp.ggml_abort_callback(lambda _data: True)

Chunk = tuple[Sequence[int], NDArray[np.float32] | None]
"""Tokens, and a positive weight for each, shape (tokens,). None: every token has weight 1."""
Sums = dict[str, TensorActivations]
"""One entry per tensor name, in alphabetical order."""


class ActivationCollector:
    """Decodes chunks of tokens and adds up the squared inputs of each weight matrix.

    A token can have a weight w. Its squared inputs x² then count as w·x² in every layer. After the first attention
    layer the activations at a position also depend on earlier tokens. The weights of those tokens do not count there.
    """

    def __init__(self, model: Model, *, ctx: int, threads: int) -> None:
        """Make a context for chunks of up to `ctx` tokens. Raise `LlamaError` if llama.cpp cannot make it."""
        self._sums: Sums = {}
        self._weights: NDArray[np.float32] | None = None
        """Weights of the tokens in the current graph. None: every token has weight 1."""
        self._failure: BaseException | None = None
        self._graph = _GraphRun(None)
        self._stop_points: dict[int, _StopPoint] = {}
        """Per number of tokens: where a chunk's last graph can be aborted. Learned from a dry run or a complete run."""
        self._is_dry_run = False
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
            raise context_error(model.path, ctx, log, SMALLER_CHUNKS)
        self._batch = llama_cpp.llama_batch_init(params.n_batch, 0, 1)
        # Do not decode in the main thread. Python runs signal handlers there, possibly at the start of the callback,
        # outside its `try`. ctypes would print the handler's exception and continue, and one tensor would be missed.
        self._thread = ThreadPoolExecutor(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Abort the current graph, discard the waiting chunks, and free the context."""
        if self._handle:
            self._failure = self._failure or LlamaError("the decoding was stopped")
            self._thread.shutdown(cancel_futures=True)
            llama_cpp.llama_batch_free(self._batch)
            llama_cpp.llama_free(self._handle)
            self._handle = None

    def submit(self, chunk: Chunk) -> Future[Sums]:
        """Queue one chunk, and return a future with its sums. Each chunk is decoded from an empty KV cache.

        After a failure a collector can only be closed.

        Raises:
            LlamaError: from this call if a token is not in the vocabulary. From the future if llama.cpp fails, or if
                weights are given and a matrix has input rows that do not correspond to tokens.
        """
        tokens, _ = chunk
        if not all(0 <= token < self._n_vocab for token in tokens):
            raise LlamaError("a chunk contains a token outside of the vocabulary")
        return self._thread.submit(self._decode, *chunk)

    def _decode(self, tokens: Sequence[int], weights: NDArray[np.float32] | None) -> Sums:
        self._sums = {}
        if len(tokens) <= MAX_BATCH and len(tokens) not in self._stop_points:
            self._dry_run(tokens)
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self._handle), True)
        for start in range(0, len(tokens), MAX_BATCH):
            part = tokens[start : start + MAX_BATCH]
            # Only the last graph may be aborted early, because no other graph needs its results.
            is_last = start + len(part) == len(tokens)
            self._graph = _GraphRun(self._stop_points.get(len(part)) if is_last else None)
            self._weights = None if weights is None else weights[start : start + MAX_BATCH]
            self._fill(part, start)
            status = llama_cpp.llama_decode(self._handle, self._batch)
            if self._failure is not None:
                raise self._failure
            if status != 0:
                raise decode_error(status, library.log_tail()[-5:])
            if is_last:
                stop = self._stop_points.setdefault(len(part), self._graph.stop_point())
                if stop.n_watched != self._graph.n_watched:
                    raise LlamaError(f"graphs of {len(part)} tokens do not all use the same weight matrices")
        # The callbacks run during the computation, so the sums are complete only when it has finished.
        llama_cpp.llama_synchronize(self._handle)
        return dict(sorted(self._sums.items()))

    def _dry_run(self, tokens: Sequence[int]) -> None:
        """Find out where a graph of this size can be aborted, without computing it.

        llama.cpp builds the graph and asks the callback about its tensors, but aborts before it computes anything. With
        several devices it asks about the first device's part only. Then nothing is learned, and the first graph is
        computed to its end instead.
        """
        self._fill(tokens, 0)
        self._graph, self._is_dry_run = _GraphRun(None), True
        llama_cpp.llama_set_abort_callback(self._handle, _ABORT_ALWAYS, None)
        llama_cpp.llama_decode(self._handle, self._batch)
        llama_cpp.llama_set_abort_callback(self._handle, llama_cpp.ggml_abort_callback(), None)
        self._is_dry_run = False
        if self._graph.is_whole:
            self._stop_points[len(tokens)] = self._graph.stop_point()

    def _fill(self, tokens: Sequence[int], first_position: int) -> None:
        self._batch.n_tokens = len(tokens)
        for index, token in enumerate(tokens):
            self._batch.token[index] = token
            self._batch.pos[index] = first_position + index
            self._batch.n_seq_id[index] = 1
            self._batch.seq_id[index][0] = 0
            # Request logits for every token. Otherwise llama.cpp reduces the last block to one row.
            self._batch.logits[index] = 1

    def _on_tensor(self, address: int, ask: bool, _data: Any) -> bool:
        """Answer llama.cpp's callback (`cb_eval`).

        With `ask`, return whether the tensor's data is wanted. Without, read the data, and return False to abort.
        """
        try:
            tensor = ggml.Tensor.from_address(address)
            if self._is_dry_run:
                self._inspect(tensor)
                return False
            last_product = self._graph.last_product_if_input(tensor)
            if ask:
                return last_product is not None or (self._wants(tensor) and not self._reuse_sums(tensor))
            if self._failure is None and last_product is not None:
                self._record(last_product.weight, dense_sums(tensor, last_product, self._weights))
            elif self._failure is None:
                self._add(tensor)
        except BaseException as error:  # ctypes would only print it; `_decode` raises it
            self._failure = error
        return self._failure is None and not self._graph.is_finished

    def _inspect(self, tensor: ggml.Tensor) -> None:
        self._graph.is_whole |= tensor.name == _OUTPUT_NAME
        if self._wants(tensor):
            self._graph.n_watched += 1
            self._graph.last = Product.of(tensor) if ggml.op_name(tensor) == "MUL_MAT" else None

    def _wants(self, tensor: ggml.Tensor) -> bool:
        op = ggml.op_name(tensor)
        if op == "MUL_MAT_ID":
            return True
        if op != "MUL_MAT":
            return False
        inputs = tensor.src[1].contents
        return inputs.ne[1] >= _MIN_TOKENS and inputs.type == _F32 and weight_name(tensor).startswith(_BLOCK_PREFIX)

    def _reuse_sums(self, tensor: ggml.Tensor) -> bool:
        """Record the sums of another matrix with the same input. Return False if this graph has none yet."""
        found = self._graph.inputs.get(_input_key(tensor))
        if found is not None:
            self._record(weight_name(tensor), found)
        return found is not None

    def _add(self, tensor: ggml.Tensor) -> None:
        if ggml.op_name(tensor) == "MUL_MAT_ID":
            self._graph.last = None
            made = expert_sums(tensor, self._weights)
        else:
            last = self._graph.last = Product.of(tensor)
            made = dense_sums(tensor.src[1].contents, last, self._weights)
        self._graph.inputs[_input_key(tensor)] = made
        self._record(weight_name(tensor), made)

    def _record(self, name: str, seen: TensorActivations) -> None:
        self._graph.n_watched += 1
        before = self._sums.get(name)
        if before is not None and before.sum_squares.shape != seen.sum_squares.shape:
            shapes = f"{before.sum_squares.shape} and {seen.sum_squares.shape}"
            raise LlamaError(f"{name} is used with inputs of two different shapes: {shapes}")
        self._sums[name] = seen if before is None else before + seen


def decode_in_turn(collectors: Sequence[ActivationCollector], chunks: Iterable[Chunk]) -> Iterator[Sums]:
    """Yield the sums of each chunk, in the order of the chunks. The chunks go to the collectors in rotation.

    While one collector does single-threaded work (sums, copies in llama.cpp, waits at barriers), the others compute.
    Collectors share only the model, so the sums of a chunk do not depend on the number of collectors.

    After an error, or if the caller stops before the last chunk, the collectors can only be closed.

    Raises:
        LlamaError: see `ActivationCollector.submit`.
    """
    submitted: collections.deque[Future[Sums]] = collections.deque()
    for collector, chunk in zip(itertools.cycle(collectors), chunks):
        submitted.append(collector.submit(chunk))
        # Two chunks per collector: it can start the second while this function waits for another collector.
        if len(submitted) == 2 * len(collectors):
            yield submitted.popleft().result()
    while submitted:
        yield submitted.popleft().result()


@dataclass(frozen=True)
class _StopPoint:
    """The point in a graph after which no more inputs are needed."""

    n_watched: int
    """Number of watched matrices, including the last one."""
    last: Product | None
    """Product of the last matrix. None if that matrix has experts."""


@dataclass
class _GraphRun:
    """What the callbacks have recorded during one call of `llama_decode`."""

    expected_stop: _StopPoint | None
    """None: not known yet, so the graph is computed to its end."""
    n_watched: int = 0
    last: Product | None = None
    """The latest dense product. None if a product with experts came after it."""
    inputs: dict[tuple[int, ...], TensorActivations] = field(default_factory=dict)
    """Sums of the inputs seen so far, one entry per `_input_key`."""

    is_whole: bool = False
    """In a dry run: llama.cpp has asked about the output, so the whole graph was seen."""

    def stop_point(self) -> _StopPoint:
        """Return where the graph ended."""
        return _StopPoint(self.n_watched, self.last)

    @property
    def is_finished(self) -> bool:
        return self.expected_stop is not None and self.n_watched == self.expected_stop.n_watched

    def last_product_if_input(self, tensor: ggml.Tensor) -> Product | None:
        """Return the graph's last product if `tensor` is its input and all other matrices are done. Otherwise None."""
        stop = self.expected_stop
        if stop is None or (last := stop.last) is None or self.n_watched != stop.n_watched - 1:
            return None
        is_input = ctypes.addressof(tensor) == last.input_address and tensor.name == last.input_name
        return last if is_input else None


def _input_key(tensor: ggml.Tensor) -> tuple[int, ...]:
    """Return a key that is equal for products with equal sums: same input, same routing, same number of matrices."""
    weight, inputs, routes = tensor.src[0].contents, tensor.src[1].contents, tensor.src[2]
    routed_by = ctypes.addressof(routes.contents) if routes else 0
    return (tensor.op, ctypes.addressof(inputs), routed_by, int(weight.ne[2]), int(weight.ne[3]))
