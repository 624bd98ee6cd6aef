"""A matrix is bit-identical, wherever its collection was interrupted."""

from __future__ import annotations

import itertools
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from actors.errors import LlamaError
from actors.llama.activation_sums import TensorActivations
from actors.llama.activations import ActivationCollector, Chunk, Sums
from actors.quantization.groups import Group, PartsFolder, add_up, cut_into_groups
from actors.quantization.imatrix import collect, collect_shard
from actors.quantization_orders import ImatrixOrder
from tests.quantization.orders import imatrix_order
from tests.tiny_model import TinyShape, write_tiny_model

CTX = 64
N_CHUNKS = 20  # groups of 8, 8 and 4


@pytest.fixture(scope="module")
def order(tmp_path_factory: pytest.TempPathFactory) -> ImatrixOrder:
    folder = tmp_path_factory.mktemp("groups")
    model = write_tiny_model(folder / "tiny.gguf", shape=TinyShape(n_experts=3))
    return imatrix_order(model, folder, dataset_size=N_CHUNKS * CTX, ctx=CTX)


@pytest.fixture(scope="module")
def whole(order: ImatrixOrder) -> bytes:
    collect(order, lambda tokens: None)
    return Path(order.output_path).read_bytes()


def elsewhere(order: ImatrixOrder, folder: Path) -> ImatrixOrder:
    return replace(order, output_path=str(folder / "matrix.gguf"))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("fails_at", [3, 8, 13, 18])
def test_an_interrupted_run_resumes_after_the_last_complete_group(
    order: ImatrixOrder, whole: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int, threads: int
) -> None:
    mine, submit = replace(elsewhere(order, tmp_path), threads=threads), ActivationCollector.submit
    reported: list[int] = []
    calls = itertools.count()

    def failing(self: ActivationCollector, chunk: Chunk) -> Future[Sums]:
        if next(calls) != fails_at:
            return submit(self, chunk)
        failed = Future[Sums]()
        failed.set_exception(LlamaError("the machine went away"))
        return failed

    monkeypatch.setattr(ActivationCollector, "submit", failing)
    with pytest.raises(LlamaError, match=f"group {fails_at // 8 + 1} of 3 .* went away"):
        collect(mine, lambda tokens: reported.append(tokens))
    monkeypatch.setattr(ActivationCollector, "submit", submit)
    assert not Path(mine.output_path).exists()
    assert len(list(tmp_path.glob("matrix.gguf.parts/group-*.npz"))) == fails_at // 8

    again: list[int] = []
    collect(mine, lambda tokens: again.append(tokens))
    found = fails_at // 8 * 8 * CTX
    assert again == [found] * bool(found) + [CTX] * (N_CHUNKS - fails_at // 8 * 8)
    assert Path(mine.output_path).read_bytes() == whole
    assert not list(tmp_path.glob("*.parts"))


@pytest.mark.parametrize("n_shards", [2, 3])
def test_shards_in_any_order_give_the_same_bytes(
    order: ImatrixOrder, whole: bytes, tmp_path: Path, n_shards: int
) -> None:
    mine = elsewhere(order, tmp_path)
    for shard in reversed(range(n_shards)):
        collect_shard(mine, shard, n_shards, lambda tokens: None)
    assert len(list(tmp_path.glob("*.parts/*.npz"))) == len(mine.group_tokens) == 3
    reported: list[int] = []
    collect(mine, lambda tokens: reported.append(tokens))
    assert reported == [N_CHUNKS * CTX]
    assert Path(mine.output_path).read_bytes() == whole


def test_groups_of_different_work_are_not_reused(order: ImatrixOrder, whole: bytes, tmp_path: Path) -> None:
    mine = elsewhere(order, tmp_path)
    collect_shard(replace(mine, key={"kind": "another"}), 0, 1, lambda tokens: None)
    reported: list[int] = []
    collect(mine, lambda tokens: reported.append(tokens))
    assert reported == [CTX] * N_CHUNKS
    assert Path(mine.output_path).read_bytes() == whole


def test_saved_groups_are_loaded_unchanged(tmp_path: Path) -> None:
    entry = TensorActivations(np.array([[1 / 3, 2.0]]), np.array([5], np.int64))
    parts = PartsFolder(tmp_path / "x.gguf", "me")
    parts.save(0, Group({"blk.0.a.weight": entry}, 1.5, 1000, frozenset({"here:1"})))
    assert parts.has(0)
    assert not parts.has(1)
    assert not PartsFolder(tmp_path / "x.gguf", "you").has(0)
    back = parts.load(0)
    assert (back.seconds, back.peak_rss_bytes, back.processes) == (1.5, 1000, {"here:1"})
    assert back.entries["blk.0.a.weight"].sum_squares.tobytes() == entry.sum_squares.tobytes()
    assert back.entries["blk.0.a.weight"].counts.tolist() == [5]


def test_sums_are_added_in_order() -> None:
    def group(value: float, peak: int) -> Group:
        entry = TensorActivations(np.array([[value]]), np.array([1], np.int64))
        return Group({"a": entry}, 1.0, peak, frozenset({f"here:{peak % 2}"}))

    total = add_up([group(1e16, 3), group(1.0, 9), group(1.0, 4)])
    # (1e16 + 1) + 1 loses both ones; 1e16 + (1 + 1) would not.
    assert total.entries["a"].sum_squares[0, 0] == 1e16
    assert (total.entries["a"].counts.tolist(), total.seconds, total.peak_rss_bytes) == ([3], 3.0, 9)
    assert total.processes == {"here:0", "here:1"}


def test_the_last_group_may_be_shorter() -> None:
    assert [len(group) for group in cut_into_groups([(1,)] * 17)] == [8, 8, 1]
