"""Several chunks at a time through one model, each in a context of its own."""

from __future__ import annotations

import collections
import contextlib
import itertools
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from types import TracebackType
from typing import Self

from actors.llama.activations import ActivationCollector, Chunk, Sums
from actors.llama.model import Model


class CollectorPool:
    """Collectors of one model, each with a chunk of its own and its share of the threads.

    Where one of them does what a single thread does (sums, llama.cpp's copies, its waits at each barrier), the others
    go on. What they share is the model, and nothing of the sums: those of a chunk are the same in any pool.
    """

    def __init__(self, model: Model, *, ctx: int, threads: int, n_collectors: int) -> None:
        """`threads` is a multiple of `n_collectors`. Raises `LlamaError` where llama.cpp cannot make a context."""
        share = threads // n_collectors
        with contextlib.ExitStack() as stack:
            self._collectors = [
                stack.enter_context(ActivationCollector(model, ctx=ctx, threads=share)) for _ in range(n_collectors)
            ]
            self._opened = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all collectors."""
        self._opened.close()

    def decode(self, chunks: Iterable[Chunk]) -> Iterator[Sums]:
        """The sums of each chunk, in the order of the chunks.

        Raises:
            LlamaError: as `ActivationCollector.begin` and its result do; the pool can only be closed then, as it can
                where not all chunks are waited for.
        """
        begun: collections.deque[Future[Sums]] = collections.deque()
        for collector, chunk in zip(itertools.cycle(self._collectors), chunks):
            begun.append(collector.begin(chunk))
            # One waits at each collector, so that it has work while the other's sums are awaited.
            if len(begun) == 2 * len(self._collectors):
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
