"""Activation statistics cover all matrices of the blocks, and every token once."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Sequence
from functools import reduce
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFReader
from numpy.typing import NDArray

from actors.errors import LlamaError
from actors.llama import ggml
from actors.llama.activations import ActivationCollector, Chunk, Sums, decode_in_turn
from actors.llama.model import Model
from actors.quantization.groups import added
from tests.tiny_architectures import write_tiny_architecture
from tests.tiny_model import TinyShape, write_tiny_model

N_TOKENS = 96


def watch(path: Path, *chunks: list[int], ctx: int = N_TOKENS) -> Sums:
    with Model(path) as model, ActivationCollector(model, ctx=ctx, threads=1) as collector:
        return reduce(added, [collector.submit((chunk, None)).result() for chunk in chunks])


def chunk(seed: int, length: int = N_TOKENS) -> list[int]:
    return [int(token) for token in np.random.default_rng(seed).integers(261, 386, length)]


def test_every_matrix_of_every_block_has_data_for_every_token(tmp_path: Path) -> None:
    seen = watch(write_tiny_model(tmp_path / "tiny.gguf"), chunk(0))
    kinds = ("attn_k", "attn_output", "attn_q", "attn_v", "ffn_down", "ffn_gate", "ffn_up")
    assert list(seen) == [f"blk.{layer}.{kind}.weight" for layer in range(2) for kind in kinds]
    assert {int(entry.counts[0]) for entry in seen.values()} == {N_TOKENS}
    assert seen["blk.1.ffn_down.weight"].sum_squares.shape == (1, 512)


def test_the_inputs_of_the_first_layer_are_the_normalised_embeddings(tmp_path: Path) -> None:
    """Computed by hand: RMS norm with weight 1 divides each embedding by the root of its mean square."""
    path = write_tiny_model(tmp_path / "tiny.gguf", dtype="f32")
    tokens = chunk(1)
    seen = watch(path, tokens)["blk.0.attn_q.weight"]
    table = next(tensor for tensor in GGUFReader(path).tensors if tensor.name == "token_embd.weight")
    embedded = np.asarray(table.data, np.float64)[tokens]  # (tokens, columns)
    normalised = embedded / np.sqrt(np.square(embedded).mean(axis=1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(seen.sum_squares[0], np.square(normalised).sum(axis=0), rtol=1e-5)


def test_the_sums_of_chunks_add_up(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "tiny.gguf")
    first, second, both = watch(path, chunk(0)), watch(path, chunk(1)), watch(path, chunk(0), chunk(1))
    for name, entry in both.items():
        np.testing.assert_allclose(entry.sum_squares, first[name].sum_squares + second[name].sum_squares, rtol=1e-12)
        assert entry.counts.tolist() == [2 * N_TOKENS]


@pytest.mark.parametrize("n_collectors", [1, 2, 3])
def test_several_collectors_give_the_sums_in_the_order_of_the_chunks(tmp_path: Path, n_collectors: int) -> None:
    path = write_tiny_model(tmp_path / "tiny.gguf", shape=TinyShape(n_experts=4))
    weights = np.random.default_rng(5).choice([1.0, 3.0], N_TOKENS).astype(np.float32)
    chunks: list[Chunk] = [(chunk(seed), weights if seed % 2 else None) for seed in range(7)]
    with Model(path) as model:
        with ActivationCollector(model, ctx=N_TOKENS, threads=1) as collector:
            alone = [collector.submit(one).result() for one in chunks]
        with contextlib.ExitStack() as stack:
            collectors = open_collectors(stack, model, n_collectors)
            assert_equal_bits(list(decode_in_turn(collectors, chunks)), alone)
            assert_equal_bits(list(decode_in_turn(collectors, chunks[:2])), alone[:2])


@pytest.mark.parametrize("architecture", ["jamba", "gemma2"])
def test_chunks_do_not_influence_each_other_in_other_architectures(tmp_path: Path, architecture: str) -> None:
    path = write_tiny_architecture(tmp_path / "tiny.gguf", architecture)
    chunks: list[Chunk] = [(chunk(seed), np.full(N_TOKENS, 2, np.float32)) for seed in range(3)]
    with Model(path) as model, contextlib.ExitStack() as stack:
        together = list(decode_in_turn(open_collectors(stack, model, 2), [*chunks, chunks[0]]))
    assert_equal_bits(together[3:], together[:1])  # in the other collector, after other chunks
    assert {float(entry.counts[0]) for entry in together[0].values()} == {2.0 * N_TOKENS}


def open_collectors(stack: contextlib.ExitStack, model: Model, n_collectors: int) -> list[ActivationCollector]:
    return [stack.enter_context(ActivationCollector(model, ctx=N_TOKENS, threads=1)) for _ in range(n_collectors)]


def assert_equal_bits(found: list[Sums], expected: list[Sums]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert list(one) == list(other)
        for name, entry in one.items():
            assert entry.sum_squares.tobytes() == other[name].sum_squares.tobytes(), name
            assert entry.counts.tolist() == other[name].counts.tolist(), name


def test_closing_a_collector_aborts_its_graph_and_discards_waiting_chunks(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "tiny.gguf")
    shown = 0

    class Counting(ActivationCollector):
        def _add(self, tensor: ggml.Tensor) -> None:
            nonlocal shown
            shown += 1
            in_the_graph.set()
            deadline = time.monotonic() + 60
            while self._failure is None and time.monotonic() < deadline:
                time.sleep(0.001)
            super()._add(tensor)

    in_the_graph = threading.Event()
    with Model(path) as model:
        collector = Counting(model, ctx=N_TOKENS, threads=1)
        submitted = [collector.submit((chunk(seed), None)) for seed in range(2)]
        in_the_graph.wait()
        collector.close()
    assert shown == 1
    with pytest.raises(LlamaError, match="stopped"):
        submitted[0].result()
    assert submitted[1].cancelled()


def test_each_token_counts_for_its_experts_only(tmp_path: Path) -> None:
    seen = watch(write_tiny_model(tmp_path / "experts.gguf", shape=TinyShape(n_experts=4)), chunk(0))
    up, down = seen["blk.0.ffn_up_exps.weight"], seen["blk.0.ffn_down_exps.weight"]
    assert up.sum_squares.shape == (4, 256)
    assert down.sum_squares.shape == (4, 512)
    assert up.counts.sum() == down.counts.sum() == 2 * N_TOKENS
    # The router gets every token once, and each token goes to two experts.
    router = seen["blk.0.ffn_gate_inp.weight"]
    np.testing.assert_allclose(up.sum_squares.sum(axis=0), 2 * router.sum_squares[0], rtol=1e-5)


def test_chunks_longer_than_a_graph_are_split_without_losing_tokens(tmp_path: Path) -> None:
    seen = watch(write_tiny_model(tmp_path / "tiny.gguf"), chunk(0, 1024), ctx=1024)
    assert {int(entry.counts[0]) for entry in seen.values()} == {1024}


@pytest.mark.parametrize("n_experts", [0, 4])
def test_graphs_that_are_aborted_early_give_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_experts: int
) -> None:
    path = write_tiny_model(tmp_path / "tiny.gguf", shape=TinyShape(n_experts=n_experts))
    after_dry_run = watch(path, chunk(0))
    monkeypatch.setattr(ActivationCollector, "_dry_run", lambda *_: None)
    with Model(path) as model, ActivationCollector(model, ctx=N_TOKENS, threads=1) as collector:
        complete, aborted = (collector.submit((chunk(0), None)).result() for _ in range(2))
    assert_equal_bits([after_dry_run, aborted], [complete, complete])


# In a long chunk the first graph is always computed completely, the last one only once.
@pytest.mark.parametrize(("length", "n_graphs", "n_run_whole"), [(N_TOKENS, 2, 0), (1024, 4, 3)])
def test_the_last_product_and_the_output_head_are_not_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int, n_graphs: int, n_run_whole: int
) -> None:
    asked: list[str] = []
    real = ActivationCollector._wants

    def noting(self: ActivationCollector, tensor: ggml.Tensor) -> bool:
        if not self._is_dry_run:
            asked.append(str(tensor.name.decode()))
        return real(self, tensor)

    monkeypatch.setattr(ActivationCollector, "_wants", noting)
    watch(write_tiny_model(tmp_path / "tiny.gguf"), chunk(0, length), chunk(1, length), ctx=length)
    assert asked.count("ffn_out-0") == n_graphs
    assert asked.count("ffn_out-1") == asked.count("result_output") == n_run_whole


def test_matrices_with_the_same_input_have_the_same_sum(tmp_path: Path) -> None:
    seen = watch(write_tiny_model(tmp_path / "tiny.gguf"), chunk(0), chunk(1))
    for kinds in (("attn_q", "attn_k", "attn_v"), ("ffn_gate", "ffn_up")):
        first, *others = (seen[f"blk.1.{kind}.weight"].sum_squares for kind in kinds)
        assert all(first.tobytes() == other.tobytes() and first is not other for other in others)


def test_an_exception_in_the_callback_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ggml, "values", interrupted)
    with pytest.raises(KeyboardInterrupt):
        watch(write_tiny_model(tmp_path / "tiny.gguf"), chunk(0))


def test_a_token_outside_of_the_vocabulary_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LlamaError, match="outside of the vocabulary"):
        watch(write_tiny_model(tmp_path / "tiny.gguf"), [386])


class Recorder(ActivationCollector):
    """Keeps the inputs of matrices, once per shared input, and the expert of each row if there are experts.

    Its first graph is computed completely, so that the last matrix is recorded like the others.
    """

    def __init__(self, model: Model) -> None:
        super().__init__(model, ctx=N_TOKENS, threads=1)
        self.seen: dict[str, tuple[NDArray[np.float32], NDArray[np.int32] | None]] = {}

    def _dry_run(self, tokens: Sequence[int]) -> None:
        pass

    def _add(self, tensor: ggml.Tensor) -> None:
        inputs = ggml.values(tensor.src[1].contents, np.float32)[0].copy()
        routed = ggml.op_name(tensor) == "MUL_MAT_ID"
        routes = ggml.values(tensor.src[2].contents, np.int32)[0, 0].copy() if routed else None
        self.seen[tensor.src[0].contents.name.decode()] = (inputs, routes)
        super()._add(tensor)


def weighted_by_hand(
    inputs: NDArray[np.float32], routes: NDArray[np.int32] | None, weights: NDArray[np.float32], n_experts: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return sums (experts or 1, columns) and counts, computed token by token."""
    n_rows = n_experts if routes is not None else 1
    sums, counts = np.zeros((n_rows, inputs.shape[-1])), np.zeros(n_rows)
    for token, weight in enumerate(weights.tolist()):
        chosen = [0] if routes is None else routes[token].tolist()
        for slot, expert in enumerate(chosen):
            # Dense inputs are (1, tokens, columns); inputs of experts are (tokens, slots or 1, columns).
            row = inputs[0, token] if routes is None else inputs[token, slot % inputs.shape[1]]
            sums[expert] += weight * row.astype(np.float64) ** 2
            counts[expert] += weight
    return sums, counts


@pytest.mark.parametrize("n_experts", [0, 4])
def test_a_tokens_weight_counts_in_every_matrix_that_gets_the_token(tmp_path: Path, n_experts: int) -> None:
    path = write_tiny_model(tmp_path / "tiny.gguf", shape=TinyShape(n_experts=n_experts))
    weights = np.random.default_rng(3).choice([1.0, 2.5, 7.0], N_TOKENS).astype(np.float32)
    with Model(path) as model, Recorder(model) as recorder:
        found, seen = recorder.submit((chunk(0), weights)).result(), recorder.seen
    assert seen.keys() < found.keys()
    for name, (inputs, routes) in seen.items():
        sums, counts = weighted_by_hand(inputs, routes, weights, n_experts)
        np.testing.assert_allclose(found[name].sum_squares, sums, rtol=1e-6)
        assert found[name].counts.tolist() == counts.tolist()
    # The other matrices share an input with one of these, and so its sums.
    shown = {found[name].sum_squares.tobytes() for name in seen}
    assert {entry.sum_squares.tobytes() for entry in found.values()} == shown


@pytest.mark.parametrize("n_experts", [0, 4])
def test_weights_of_one_give_the_same_bits_as_no_weights(tmp_path: Path, n_experts: int) -> None:
    path = write_tiny_model(tmp_path / "tiny.gguf", shape=TinyShape(n_experts=n_experts))
    plain = watch(path, chunk(0))
    with Model(path) as model, ActivationCollector(model, ctx=N_TOKENS, threads=1) as collector:
        weighted = collector.submit((chunk(0), np.ones(N_TOKENS, np.float32))).result()
    assert_equal_bits([weighted], [plain])


def test_each_graph_of_a_long_chunk_gets_its_own_weights(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "tiny.gguf")
    weights = np.repeat(np.array([1, 9], np.float32), 512)
    with Model(path) as model, ActivationCollector(model, ctx=1024, threads=1) as collector:
        chunks: list[Chunk] = [(chunk(0, 512), None), (chunk(0, 1024), None), (chunk(0, 1024), weights)]
        sums = [collector.submit(one).result()["blk.0.attn_q.weight"] for one in chunks]
    first, both, seen = sums[0].sum_squares, sums[1].sum_squares, sums[2]
    np.testing.assert_allclose(seen.sum_squares, first + 9 * (both - first), rtol=1e-6)
    assert seen.counts.tolist() == [512 * 10]


def test_weights_are_refused_if_rows_are_not_tokens(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "tiny.gguf")
    with (
        Model(path) as model,
        ActivationCollector(model, ctx=N_TOKENS, threads=1) as collector,
        pytest.raises(LlamaError, match=r"blk\.0\.\w+\.weight gets 96 rows for 95 tokens"),
    ):
        collector.submit((chunk(0), np.ones(N_TOKENS - 1, np.float32))).result()
