"""Sharing the groups of an importance matrix among processes of this machine."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from queue import Queue

from actors.errors import LlamaError
from actors.orders import ImatrixOrder, ReportTokens
from actors.quantization.imatrix import ImatrixManifest, collect, collect_shard
from conf.environment import let_waiting_threads_sleep

_POLL_S = 0.5


@dataclass(frozen=True)
class _Tell:
    """Progress across the border of a process."""

    queue: Queue[int]

    def __call__(self, tokens: int) -> None:
        self.queue.put(tokens)


def collect_in_processes(order: ImatrixOrder, n_shards: int, report: ReportTokens) -> ImatrixManifest:
    """Collect a matrix in `n_shards` processes, or in this one where that is 1; the result is the same, bit for bit.

    Raises:
        BadInput, LlamaError: as `collect` does; a process that crashed is a `LlamaError`, too.
    """
    if n_shards == 1:
        return collect(order, report)
    let_waiting_threads_sleep()
    # Spawned: llama.cpp's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(n_shards, context) as pool:
        told = manager.Queue()
        shards = [pool.submit(collect_shard, order, shard, n_shards, _Tell(told)) for shard in range(n_shards)]
        pending = set(shards)
        while pending:
            _, pending = wait(pending, _POLL_S, FIRST_EXCEPTION)
            while not told.empty():
                report(told.get())
            if any(shard.done() and shard.exception() for shard in shards):
                pool.shutdown(cancel_futures=True)
                break
        try:
            for shard in shards:
                shard.result()
        except BrokenProcessPool:
            message = (
                "a process crashed (out of memory, maybe); groups that are done stay: the same command goes on with "
            )
            message += "the others. Fewer --shards need less memory, a smaller --dataset-size fewer groups"
            raise LlamaError(message) from None
    return collect(order, lambda tokens: None)
