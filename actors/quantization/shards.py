"""Shares the groups of an importance matrix among processes of this machine."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from queue import Queue

from actors.errors import LlamaError
from actors.llama.rpc_servers import lost_servers
from actors.orders import ReportTokens
from actors.quantization.imatrix import ImatrixManifest, collect, collect_shard
from actors.quantization_orders import ImatrixOrder
from conf.environment import abort_without_debugger, let_waiting_threads_sleep

_POLL_S = 0.5


@dataclass(frozen=True)
class _SendTokens:
    """Reports tokens to another process: puts their number on a queue."""

    queue: Queue[int]

    def __call__(self, tokens: int) -> None:
        self.queue.put(tokens)


def collect_in_processes(order: ImatrixOrder, n_shards: int, report: ReportTokens) -> ImatrixManifest:
    """Collect a matrix in `n_shards` processes, or in this process if that is 1. The result is the same, bit for bit.

    On devices it is always another process, because llama.cpp ends its process if a device is lost.

    Args:
        order: what to collect.
        n_shards: number of processes.
        report: called with the number of tokens that were done since the last call.

    Raises:
        BadInput: see `collect`.
        LlamaError: see `collect`. Also raised if a process crashed.
    """
    if n_shards == 1 and order.devices is None:
        return collect(order, report)
    let_waiting_threads_sleep()
    abort_without_debugger()
    # Not forked: llama.cpp's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(n_shards, context) as pool:
        done_tokens = manager.Queue()
        send = _SendTokens(done_tokens)
        shards = [pool.submit(collect_shard, order, shard, n_shards, send) for shard in range(n_shards)]
        pending = set(shards)
        while pending:
            _, pending = wait(pending, _POLL_S, FIRST_EXCEPTION)
            while not done_tokens.empty():
                report(done_tokens.get())
            if any(shard.done() and shard.exception() for shard in shards):
                pool.shutdown(cancel_futures=True)
                break
        try:
            for shard in shards:
                shard.result()
        except BrokenProcessPool:
            raise LlamaError(_crashed(order)) from None
    return collect(order, lambda tokens: None)


def _crashed(order: ImatrixOrder) -> str:
    again = "Finished groups are kept: run the same command again to do the others"
    if order.devices is None:
        less = "Fewer --shards need less memory; a smaller --dataset-size has fewer groups"
        return f"a process crashed, perhaps out of memory. {again}. {less}"
    lost = lost_servers()
    reason = f"an RPC server was lost. {lost}" if lost else "llama.cpp says why above, or the memory ran out."
    return f"the process that decodes on {order.devices.kind} crashed: {reason} {again}"
