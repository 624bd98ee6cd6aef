"""How the work is laid out in batches and distributed, how requests are sent, and what is copied to MLflow."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from conf.schema.base import Count, Frozen


def _whole_above_one(gpus: float) -> float:
    if gpus > 1 and gpus != int(gpus):
        raise ValueError("a share of one GPU (0.01 to 1), or a whole number: Ray divides single GPUs only")
    return gpus


class Layout(Frozen):
    """How a block is arranged in llama.cpp's batches.

    The layout can change an output's last bits, so it is part of the records' key. It never depends on the number of
    workers.
    """

    threads: Annotated[int, Field(ge=1, le=1024)] = 2
    """CPU threads per worker."""
    sequences: Annotated[int, Field(ge=1, le=200)] = 32
    """Most sequences that are decoded together; fewer if the KV cache would exceed `kv_cache_mib`."""
    kv_cache_mib: Count | None = None
    """Largest KV cache of a worker, in MiB, in f16. None: a quarter of the memory of this machine, or of the smallest
    node of the cluster; on GPUs, what the weights of the largest arm leave. If llama.cpp cannot get that much memory,
    the arm or judge is planned again with less and goes on. This limit decides how many sequences run together, so set
    it if different machines run one pipeline.
    """
    n_batch: Annotated[int, Field(ge=32, le=65536)] = 2048
    """Most tokens per call of `llama_decode`."""
    n_ubatch: Annotated[int, Field(ge=32, le=65536)] = 512
    """Most tokens per computation graph."""
    flash_attention: bool = True
    """True: use flash attention for answers and text if llama.cpp finds that the device supports it. Without it all
    measured cases were slower (SmolLM2-135M on 2 cores: text 0.88 times as fast, answers 0.8 times without a prefix,
    0.83 times with 5 shots)."""


class Execution(Frozen):
    """How the work is distributed. Nothing here changes an output."""

    max_workers: Count | None = None
    """Most workers per role; None: as many as fit on the cluster."""
    block_items: Count = 32
    """Items per block, which is what is redone after a failure. A quarter of it if the items are chunks of text
    (perplexity)."""
    attempts: Count = 2
    """Number of tries of a unit of work before it is recorded as failed."""
    self_check: bool = True
    """True: before an arm's first block, decode a few of its items also one at a time; if the two results disagree, the
    arm's blocks fail. This takes seconds with a small model."""
    gpus_per_worker: Annotated[float, Field(ge=0.01), AfterValidator(_whole_above_one)] | None = None
    """GPUs per worker that decodes. None: as few as hold its models, or a share of one, computed from their memory and
    from that of the devices. A fraction is a share of one GPU, whether or not the memory is enough. More than any node
    has are refused."""


class Endpoints(Frozen):
    """How requests are sent to endpoints. Nothing here changes an output."""

    concurrency: Annotated[int, Field(ge=1, le=256)] = 8
    """Concurrent requests per worker."""
    timeout_s: Annotated[float, Field(gt=0, le=86_400)] = 300.0
    """Time limit for one answer, in seconds. A busy server may ask for a pause of that length, or of two minutes."""
    attempts: Annotated[int, Field(ge=1, le=20)] = 5
    """Number of tries of a request, with growing pauses between them, before its block fails."""


class Tracking(Frozen):
    """What is copied to MLflow. MLFLOW_TRACKING_URI gives its address; if unset, it is SQLite in the storage."""

    gguf_limit_mib: Annotated[int, Field(ge=0, lt=2**31)] = 256
    """GGUFs up to this size, in MiB, are logged as artifacts; of larger ones only path and sha256."""
