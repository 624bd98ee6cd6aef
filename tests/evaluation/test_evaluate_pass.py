"""Passes: an arm's records are the same alone and beside others, and say why if there is no comparison."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from actors.errors import LlamaError
from actors.evaluation.actor import EvaluationWorker
from actors.evaluation.benchmarks import load
from actors.items import Item, Scorer
from actors.llama.file_types import resolve_type
from actors.llama.model import Model
from actors.llama.quantizer import quantize
from actors.orders import BlockOrder, PassOrder, ReferenceModel
from actors.token_classes import TokenClass
from conf.schema.answers import Sampling
from reporting.frames import TOKEN_CLASSES
from reporting.validate import validate
from tests.conftest import ignore, layout
from tests.tiny_model import TinyShape, write_tiny_model

# A call decodes less than a chunk, so that a chunk is decoded in several pieces.
LAYOUT = layout(sequences=1, n_ctx=512, n_batch=200)


@pytest.fixture(scope="module")
def arms(tiny_path: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("arms")
    made = {"f16": tiny_path}
    for kind in ("q8_0", "q4_k_m"):
        made[kind] = str(folder / f"{kind}.gguf")
        quantize(tiny_path, made[kind], resolve_type(kind), imatrix=None, threads=1)
    return made


@pytest.fixture(scope="module")
def chunks(tiny: Model) -> tuple[Item, ...]:
    return load("perplexity_pydoc", data_dir=None, sampling=Sampling(), vocabulary=tiny).items[:2]


@pytest.fixture
def worker() -> Iterator[EvaluationWorker]:
    made = EvaluationWorker()
    yield made
    made.close()


def block(arm: str, arms: dict[str, str], chunks: tuple[Item, ...], folder: Path) -> BlockOrder:
    return BlockOrder(
        arm,
        arms[arm],
        "perplexity_pydoc",
        Scorer("measured"),
        chunks,
        (0,),
        Sampling(),
        LAYOUT,
        str(folder / f"{arm}.jsonl"),
        reference=ReferenceModel(arms["f16"], LAYOUT),
    )


def evaluate(worker: EvaluationWorker, blocks: list[BlockOrder], host_threads: int = 1) -> dict[str, bytes]:
    worker.evaluate_together(PassOrder(tuple(blocks), host_threads), [ignore] * len(blocks))
    return {one.arm: Path(one.records_path).read_bytes() for one in blocks}


def test_records_are_the_same_alone_and_beside_others(
    worker: EvaluationWorker, arms: dict[str, str], chunks: tuple[Item, ...], tmp_path: Path
) -> None:
    together = evaluate(worker, [block(arm, arms, chunks, tmp_path) for arm in arms])
    worker.close()
    for arm in arms:
        assert evaluate(worker, [block(arm, arms, chunks, tmp_path)])[arm] == together[arm]


def test_records_do_not_depend_on_the_number_of_threads_that_compare(
    worker: EvaluationWorker, arms: dict[str, str], chunks: tuple[Item, ...], tmp_path: Path
) -> None:
    blocks = [block(arm, arms, chunks, tmp_path) for arm in arms]
    one, two, four = (evaluate(worker, blocks, host_threads=threads) for threads in (1, 2, 4))
    assert one == two == four


def test_records_hold_the_divergence_and_classes_add_up(
    worker: EvaluationWorker, arms: dict[str, str], chunks: tuple[Item, ...], tmp_path: Path
) -> None:
    found = evaluate(worker, [block(arm, arms, chunks, tmp_path) for arm in arms])
    records = {arm: [json.loads(line) for line in lines.splitlines()] for arm, lines in found.items()}
    for record in (one for own in records.values() for one in own):
        validate("record", record)
        classes = record["token_classes"].values()
        assert sum(one["n_tokens"] for one in classes) == record["n_tokens"] == 255
        assert sum(one["nll_sum"] for one in classes) == pytest.approx(record["nll_sum"])
    for reference, near, far in zip(records["f16"], records["q8_0"], records["q4_k_m"], strict=True):
        assert (reference["kld_sum"], reference["divergence_reason"]) == (None, "no_reference")
        assert 0 < near["kld_sum"] < far["kld_sum"]
        assert near["top_agree"] >= far["top_agree"]
        assert near["divergence_reason"] is None
        parts = near["token_classes"].values()
        assert sum(one["kld_sum"] for one in parts) == pytest.approx(near["kld_sum"])


def test_the_reference_has_the_same_loss_as_without_any_arm(
    worker: EvaluationWorker, arms: dict[str, str], chunks: tuple[Item, ...], tmp_path: Path
) -> None:
    beside = evaluate(worker, [block(arm, arms, chunks, tmp_path) for arm in ("f16", "q8_0")])["f16"]
    order = block("f16", arms, chunks, tmp_path)
    worker.evaluate(replace(order, reference=None), ignore)
    assert Path(order.records_path).read_bytes() == beside


def test_another_vocabulary_is_measured_alone_and_says_so(
    worker: EvaluationWorker, arms: dict[str, str], chunks: tuple[Item, ...], tmp_path: Path
) -> None:
    wider = write_tiny_model(tmp_path / "wider.gguf", shape=TinyShape(n_vocab=600))
    both = arms | {"wider": str(wider)}
    found = evaluate(worker, [block(arm, both, chunks, tmp_path) for arm in ("q8_0", "wider")])
    record = json.loads(found["wider"].splitlines()[0])
    assert (record["kld_sum"], record["divergence_reason"]) == (None, "vocabularies_differ")
    assert record["nll_sum"] > 0
    assert json.loads(found["q8_0"].splitlines()[0])["kld_sum"] > 0


def test_a_refused_chunk_is_unscored_in_all_arms(
    worker: EvaluationWorker, arms: dict[str, str], chunks: tuple[Item, ...], tmp_path: Path
) -> None:
    long = replace(chunks[1], too_long=True)
    found = evaluate(worker, [block(arm, arms, (chunks[0], long), tmp_path) for arm in ("f16", "q8_0")])
    for lines in found.values():
        first, second = (json.loads(line) for line in lines.splitlines())
        assert first["outcome"] == "measured"
        assert (second["outcome"], second["reason"]) == ("unscored", "context_too_long")


def test_a_pass_with_a_broken_arm_writes_nothing(
    worker: EvaluationWorker, arms: dict[str, str], chunks: tuple[Item, ...], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"no model")
    blocks = [block(arm, arms | {"broken": str(broken)}, chunks, tmp_path) for arm in ("q8_0", "broken")]
    with pytest.raises(LlamaError):
        evaluate(worker, blocks)
    assert not list(tmp_path.glob("*.jsonl"))


def test_statistics_and_records_use_the_same_token_classes() -> None:
    assert {kind.label for kind in TokenClass} == set(TOKEN_CLASSES)
