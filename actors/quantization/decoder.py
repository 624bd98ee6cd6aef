"""Decode the groups of importance matrices. Everything that the next group also needs stays loaded.

A worker decodes one group after another, of one or more matrices. Loading the model and cutting the texts again for
each group would cost more than decoding a small group. `imatrix` adds up the groups.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np

from actors.errors import LlamaError, NoRoomError
from actors.hashing import content_hash
from actors.llama import library
from actors.llama.activations import ActivationCollector, Sums, decode_in_turn
from actors.llama.devices import DeviceUse
from actors.llama.gguf_file import GgufHeader, read_header
from actors.llama.model import Model
from actors.machine import check_memory
from actors.orders import ReportTokens
from actors.quantization.calibration import CalibrationChunks, make_chunks
from actors.quantization.groups import Group, PartsFolder, added, cut_into_groups
from actors.quantization.memory import contexts_to_collect, needed_to_collect, peak_rss_bytes
from actors.quantization_orders import GROUP_CHUNKS, ImatrixOrder
from actors.token_classes import weights_key


@dataclass(frozen=True)
class PreparedOrder:
    """What all groups of an order share: the chunks, and the folder for finished groups."""

    order: ImatrixOrder
    calibration: CalibrationChunks
    parts: PartsFolder


@dataclass(frozen=True)
class _Loaded:
    """The collectors of a loaded model, and everything that must be closed with them."""

    content: tuple[str, int, int, int, DeviceUse | None]
    """Model path, tokens per chunk, threads, offloaded layers, their devices. Orders with the same values share the
    loaded model."""
    collectors: tuple[ActivationCollector, ...]
    opened: contextlib.ExitStack


class GroupDecoder:
    """Decodes groups of chunks and saves them. Use it as a context manager, or call `close`."""

    def __init__(self) -> None:
        self._prepared: PreparedOrder | None = None
        self._loaded: _Loaded | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Unload the model."""
        if self._loaded is not None:
            self._loaded.opened.close()
            self._loaded = None

    def prepare(self, order: ImatrixOrder) -> PreparedOrder:
        """Return the chunks of an order, and the folder of its groups.

        Raises:
            BadInput: the model or a text is unusable, or there are too few tokens for `--dataset-size`.
        """
        if self._prepared is None or self._prepared.order != order:
            self._prepared = _prepare(order)
        return self._prepared

    def decode(self, order: ImatrixOrder, numbers: Sequence[int], report: ReportTokens) -> None:
        """Decode and save the given groups, except those saved before. The model is loaded only if a group is missing.

        Args:
            order: the order that the groups belong to.
            numbers: numbers of the groups.
            report: called with the tokens of all groups saved before, then with those of each chunk when it is done.

        Raises:
            BadInput: see `prepare`; also if there is too little memory for the model.
            LlamaError: llama.cpp failed, or activations were not finite.
        """
        prepared = self.prepare(order)
        groups, weights = cut_into_groups(prepared.calibration.chunks), cut_into_groups(prepared.calibration.weights)
        missing = [number for number in numbers if not prepared.parts.has(number)]
        found = sum(order.group_tokens[number] for number in set(numbers).difference(missing))
        if found:
            report(found)
        if not missing:
            return
        number = missing[0]
        with contextlib.ExitStack() as failed:
            # After an error, neither the sums so far nor the model can be trusted, and other chunks are still running.
            failed.callback(self.close)
            try:
                collectors, begun = self._collectors(order), time.perf_counter()
                # One sequence across all groups: the next group is decoded while one is saved.
                chunks = (chunk for one in missing for chunk in zip(groups[one], weights[one], strict=True))
                sums = decode_in_turn(collectors, chunks)
                for number in missing:
                    entries = _sum_group(groups[number], sums, report)
                    now = time.perf_counter()
                    prepared.parts.save(number, Group(entries, now - begun, peak_rss_bytes(), frozenset({_host_pid()})))
                    begun = now
            except LlamaError as error:
                raise _with_advice(error, number, len(groups)) from error
            failed.pop_all()

    def _collectors(self, order: ImatrixOrder) -> tuple[ActivationCollector, ...]:
        content = (order.model_path, order.ctx, order.threads, order.gpu_layers, order.devices)
        if self._loaded is None or self._loaded.content != content:
            self.close()
            header = read_header(order.model_path)
            check_room(header, order.ctx, order.gpu_layers)
            # A device computes one graph at a time, and not every kind of device can be used from two threads.
            can_share = order.threads % 2 == 0 and order.gpu_layers == 0
            n_contexts = contexts_to_collect(header, order.ctx) if can_share else 1
            with contextlib.ExitStack() as stack:
                model = stack.enter_context(Model(order.model_path, gpu_layers=order.gpu_layers, devices=order.devices))
                threads = order.threads // n_contexts
                collectors = tuple(
                    stack.enter_context(ActivationCollector(model, ctx=order.ctx, threads=threads))
                    for _ in range(n_contexts)
                )
                self._loaded = _Loaded(content, collectors, stack.pop_all())
        return self._loaded.collectors


def check_room(header: GgufHeader, ctx: int, gpu_layers: int = 0) -> None:
    """Raise `BadInput` if this machine has too little memory to collect a matrix from the model."""
    check_memory(needed_to_collect(header, ctx, gpu_layers=gpu_layers), f"collecting from {header.path.name}")


def _prepare(order: ImatrixOrder) -> PreparedOrder:
    read_header(order.model_path)
    with Model(order.model_path, vocab_only=True) as vocabulary:
        calibration = make_chunks(
            vocabulary,
            order.texts,
            dataset_size=order.dataset_size,
            ctx=order.ctx,
            rules=order.rules,
            token_weights=order.token_weights,
        )
    # Groups are identified by the key (model, texts, build, threads) and by the chunks and weights to decode.
    chunks = [list(chunk) for chunk in calibration.chunks]
    decoded = {"key": order.key, "chunks": chunks, "group": GROUP_CHUNKS, **weights_key(order.token_weights)}
    return PreparedOrder(order, calibration, PartsFolder(order.output_path, content_hash(decoded)))


def _with_advice(error: LlamaError, number: int, n_groups: int) -> LlamaError:
    where = f"group {number + 1} of {n_groups} of the calibration failed: {error.message}"
    if isinstance(error, NoRoomError):
        return NoRoomError(where, error.log_tail, error.wanted_for)
    step = (
        "A smaller --dataset-size leaves out later groups. Otherwise use another --calibration text, or check the model"
    )
    return LlamaError(f"{where}. {step}", error.log_tail or library.log_tail()[-5:])


def _sum_group(chunks: Sequence[Sequence[int]], sums: Iterator[Sums], report: ReportTokens) -> Sums:
    """Take the next sums, one per chunk, and add them in order.

    Raises:
        LlamaError: a sum is not finite, so an importance matrix made from it would be garbage.
    """
    entries: Sums = {}
    for chunk in chunks:
        entries = added(entries, next(sums))
        report(len(chunk))
    broken = [name for name, entry in entries.items() if not np.isfinite(entry.sum_squares).all()]
    if broken:
        raise LlamaError(f"activations are not finite in {', '.join(broken[:5])}")
    return entries


def _host_pid() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"
