"""A llama.cpp context: the KV cache and the batched decoding of many sequences.

In a unified cache all sequences share one pool of cells, and a fork copies nothing. In a cache per sequence each
sequence has its own cells, and a fork copies them. A token then attends only to the cells of its own sequence.

A fork always copies a whole sequence. The caller must fork before it decodes the source further: sliding windows and
recurrent states cannot be rolled back. The caller also decides what is decoded when. This module makes the llama.cpp
calls, checks their results, and returns numpy arrays.
"""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import llama_cpp
import numpy as np
from numpy.typing import NDArray

from actors.errors import LlamaError
from actors.llama import library
from actors.llama.batch import Batch, Run, make_batches
from actors.llama.candidates import Candidates
from actors.llama.layout import EngineLayout
from actors.llama.model import Model
from actors.llama.no_room import context_error, decode_error

MAX_OUTPUT_ROWS = 256
"""Maximum number of logit rows per call: 150 MB with a vocabulary of 150k tokens."""
_NO_CELLS = 1  # llama_decode found no free KV cells


@dataclass(frozen=True)
class Rows:
    """Logits of one call. They are a view of memory that the next call overwrites."""

    candidates: Candidates
    owners: NDArray[np.int64]  # [rows], index of the run
    offsets: NDArray[np.int64]  # [rows], index of the token in its run
    n_tokens: int
    """Number of tokens decoded in this call."""

    @property
    def logits(self) -> NDArray[np.float32]:
        """The logits of all tokens: [rows, n_vocab]."""
        if self.candidates.tokens is not None:
            raise TypeError("only the highest logits were taken from the device")
        return self.candidates.logits


class Context:
    """One `llama_context`. Close it before its model."""

    def __init__(self, model: Model, layout: EngineLayout, *, max_sequences: int) -> None:
        """Raise `NoRoomError` if there is no memory for the cache or the buffers, `LlamaError` for other failures."""
        most = int(llama_cpp.llama_max_parallel_sequences())
        if max_sequences > most:
            raise LlamaError(f"{max_sequences} sequences requested; llama.cpp allows at most {most}")
        with library.captured_log() as log:
            self.handle = llama_cpp.llama_init_from_model(model.handle, _parameters(layout, max_sequences))
        if not self.handle:
            raise context_error(model.path, layout.n_ctx, log)
        self.n_ctx = int(llama_cpp.llama_n_ctx(self.handle))
        self.unified = layout.kv_unified
        self.shares_prefixes = layout.share_prefixes
        self.on_device = layout.gpu_layers != 0
        self.refills_in_order = not model.has_sliding_window
        """True if freed cells are used again in the same order as in an empty cache."""
        self.cells_per_sequence = int(llama_cpp.llama_n_ctx_seq(self.handle))
        """Maximum number of cells of one sequence. In a unified cache it is also the maximum for all together."""
        self._memory = llama_cpp.llama_get_memory(self.handle)
        self._max_sequences = max_sequences
        self._n_vocab = model.n_vocab
        self._buffers = _BatchBuffers(layout.n_batch)
        self._n_highest: int | None = None
        """How many logits of each row are taken from the device. None: all."""

    def close(self) -> None:
        """Free the cache."""
        if self.handle:
            llama_cpp.llama_free(self.handle)
            self.handle = None

    def clear(self) -> None:
        """Remove all sequences and erase the content of the cache, so that nothing of earlier work is left."""
        llama_cpp.llama_memory_clear(self._memory, True)

    def fork(self, source: int, target: int) -> None:
        """Make `target` a copy of `source`. In a unified cache they share cells; otherwise the cells are copied."""
        llama_cpp.llama_memory_seq_cp(self._memory, source, target, -1, -1)

    def drop(self, sequence: int) -> None:
        """Remove a whole sequence. Cells that no other sequence shares become free."""
        llama_cpp.llama_memory_seq_rm(self._memory, sequence, -1, -1)

    def drop_all_but(self, sequence: int) -> None:
        """Remove all sequences except one."""
        for other in range(self._max_sequences):
            if other != sequence:
                self.drop(other)

    @contextlib.contextmanager
    def only_highest(self, count: int) -> Iterator[None]:
        """Take only the `count` highest logits of each row from the device while the block runs, with their tokens.

        Each call may then ask for one row per sequence. If llama.cpp cannot select logits on this device, or if there
        are no more than `count`, all are taken.
        """
        sequences = range(self._max_sequences) if count < self._n_vocab else ()
        chains = [_top_chain(count) for _ in sequences]
        try:
            if sequences and all(llama_cpp.llama_set_sampler(self.handle, one, chains[one]) for one in sequences):
                self._n_highest = count
            yield
        finally:
            self._n_highest = None
            for one in sequences:
                llama_cpp.llama_set_sampler(self.handle, one, None)
            for chain in chains:
                llama_cpp.llama_sampler_free(chain)

    def decode(self, runs: Sequence[Run]) -> Iterator[Rows]:
        """Decode the runs, in as many calls as needed, and yield the logits of each call.

        Raises:
            NoRoomError: there is no memory for the buffers of a graph.
            LlamaError: llama.cpp failed, or the KV cache has no free cells left.
        """
        for batch in make_batches(runs, self._buffers.capacity, MAX_OUTPUT_ROWS):
            yield Rows(self._decode(batch), batch.owners, batch.offsets, len(batch.tokens))

    def _decode(self, batch: Batch) -> Candidates:
        with library.captured_log() as log:
            status = llama_cpp.llama_decode(self.handle, self._buffers.fill(batch))
        if status == _NO_CELLS:
            raise LlamaError(f"no room for {len(batch.tokens)} tokens in a KV cache of {self.n_ctx} cells", log[-5:])
        if status != 0:
            raise decode_error(status, log)
        rows = len(batch.owners)
        if not rows:
            # Wait here. Otherwise the time of this work would be counted for the next call.
            llama_cpp.llama_synchronize(self.handle)
            return Candidates(np.empty((0, self._n_vocab), np.float32))
        if self._n_highest is not None:
            return self._highest(np.flatnonzero(batch.outputs), self._n_highest)
        pointer = llama_cpp.llama_get_logits(self.handle)
        return Candidates(np.ctypeslib.as_array(pointer, shape=(rows, self._n_vocab)))

    def _highest(self, outputs: NDArray[np.int64], count: int) -> Candidates:
        """Return the highest logits of the tokens at these places of the last batch."""
        found = int(llama_cpp.llama_get_sampled_candidates_count_ith(self.handle, int(outputs[0])))
        if found != count:
            raise LlamaError(f"llama.cpp returned {found} of the {count} highest logits")
        values = self._sampled_rows(llama_cpp.llama_get_sampled_logits_ith, outputs)
        ids = self._sampled_rows(llama_cpp.llama_get_sampled_candidates_ith, outputs)
        return Candidates(values[:, :count].copy(), ids[:, :count].copy())

    def _sampled_rows(self, row_of: Callable[[Any, int], Any], outputs: NDArray[np.int64]) -> NDArray[Any]:
        """Return a view of llama.cpp's rows for these places: [rows, n_vocab], of which only the beginnings are filled.

        The rows follow each other (`llama_context::get_sampled_logits_ith`). Two calls show whether that is still true,
        and save one call per row.
        """
        first, last = (row_of(self.handle, int(place)) for place in (outputs[0], outputs[-1]))
        rows: NDArray[Any] = np.ctypeslib.as_array(first, shape=(len(outputs), self._n_vocab))
        if rows[-1].ctypes.data != ctypes.addressof(last.contents):
            raise LlamaError("llama.cpp keeps the highest logits in an order that is not known here")
        return rows


def _top_chain(count: int) -> Any:
    """Return a sampler chain that only selects the `count` highest logits."""
    chain = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())
    llama_cpp.llama_sampler_chain_add(chain, llama_cpp.llama_sampler_init_top_k(count))
    return chain


def _parameters(layout: EngineLayout, max_sequences: int) -> llama_cpp.llama_context_params:
    params: llama_cpp.llama_context_params = llama_cpp.llama_context_default_params()
    params.n_ctx = layout.n_ctx
    params.n_batch = layout.n_batch
    params.n_ubatch = layout.n_ubatch
    params.n_seq_max = max_sequences
    params.n_threads = layout.threads
    params.n_threads_batch = layout.threads
    params.kv_unified = layout.kv_unified
    params.offload_kqv = layout.gpu_layers != 0
    params.flash_attn_type = (
        llama_cpp.LLAMA_FLASH_ATTN_TYPE_AUTO if layout.flash_attention else llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
    )
    return params


class _BatchBuffers:
    """The arrays of a `llama_batch`. They are allocated once and filled for each call."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._tokens = np.zeros(capacity, np.int32)
        self._positions = np.zeros(capacity, np.int32)
        self._sequences = np.zeros(capacity, np.int32)
        self._outputs = np.zeros(capacity, np.int8)
        self._counts = np.ones(capacity, np.int32)  # each token belongs to one sequence
        step = self._sequences.itemsize
        self._sequence_pointers = (self._sequences.ctypes.data + step * np.arange(capacity)).astype(np.uintp)
        self._batch = llama_cpp.llama_batch(
            n_tokens=0,
            token=_pointer(self._tokens, ctypes.c_int32),
            embd=None,
            pos=_pointer(self._positions, ctypes.c_int32),
            n_seq_id=_pointer(self._counts, ctypes.c_int32),
            seq_id=_pointer(self._sequence_pointers, ctypes.POINTER(ctypes.c_int32)),
            logits=_pointer(self._outputs, ctypes.c_int8),
        )

    def fill(self, batch: Batch) -> llama_cpp.llama_batch:
        """Return the `llama_batch` that uses these arrays. It is valid until the next call of `fill`."""
        self._batch.n_tokens = n = len(batch.tokens)
        self._tokens[:n] = batch.tokens
        self._positions[:n] = batch.positions
        self._sequences[:n] = batch.sequences
        self._outputs[:n] = batch.outputs
        return self._batch


def _pointer(array: NDArray[np.generic], kind: type) -> object:
    return ctypes.cast(array.ctypes.data, ctypes.POINTER(kind))
