"""A worker holds each file once: checks, measurements, passes and benchmarks with other caches load nothing twice."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from actors.engines.llama import LlamaEngine
from actors.errors import LlamaError, NoRoomError
from actors.evaluation.actor import EvaluationWorker
from actors.evaluation.benchmarks import load
from actors.items import Item, Scorer
from actors.llama import context, model
from actors.llama.layout import EngineLayout
from actors.llama.model import Model
from actors.orders import BlockOrder, CheckOrder, CheckPart, PassOrder, PerformanceOrder, ReferenceModel
from conf.schema.answers import Sampling
from tests.conftest import ignore, layout
from tests.engines.test_llama import QUESTIONS, SHOTS, choice, chunk

SMALL, LARGE = layout(n_ctx=512), layout(n_ctx=6 * 512)


class Loads:
    """The files whose weights were loaded, in order, and how many were held at once at most."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.files: list[str] = []
        self.most = 0
        real_load = model.llama_cpp.llama_model_load_from_file
        real_free = model.llama_cpp.llama_model_free
        weights: set[int] = set()

        def load_it(path: bytes, params: Any) -> Any:
            handle = real_load(path, params)
            if not params.vocab_only and handle:
                self.files.append(Path(path.decode()).stem)
                weights.add(handle)
                self.most = max(self.most, len(weights))
            return handle

        def free_it(handle: Any) -> None:
            weights.discard(handle)
            real_free(handle)

        self._weights = weights
        monkeypatch.setattr(model.llama_cpp, "llama_model_load_from_file", load_it)
        monkeypatch.setattr(model.llama_cpp, "llama_model_free", free_it)

    @property
    def now(self) -> int:
        """How many are held now."""
        return len(self._weights)


@pytest.fixture
def loads(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> Loads:
    return Loads(monkeypatch)


@pytest.fixture
def worker(loads: Loads) -> Iterator[EvaluationWorker]:
    made = EvaluationWorker()
    yield made
    made.close()
    assert loads.now == 0


def asked(path: str, folder: Path, how: EngineLayout) -> BlockOrder:
    items = tuple(QUESTIONS[:1])
    sampling = Sampling(max_tokens=4)
    output = folder / f"{how.n_ctx}.jsonl"
    return BlockOrder("f16", path, "demo_qa", Scorer("short_answer"), items, (0,), sampling, how, str(output))


def test_a_check_of_all_kinds_and_the_blocks_after_it_load_the_arm_once(
    tiny_path: str, tmp_path: Path, worker: EvaluationWorker, loads: Loads
) -> None:
    items: tuple[tuple[Item, ...], ...] = (
        tuple(QUESTIONS[:1]),
        (choice("c", SHOTS + "it is", (" a", " b")),),
        (chunk(96, 49),),
    )
    parts = tuple(CheckPart(f"b{number}", some, LARGE) for number, some in enumerate(items))
    worker.check(CheckOrder("f16", tiny_path, parts, None, str(tmp_path / "check.json")), ignore)
    for how in (LARGE, SMALL, LARGE):
        worker.evaluate(asked(tiny_path, tmp_path, how), ignore)
    assert loads.files == ["tiny"]


def test_a_measurement_of_speed_loads_the_arm_anew_and_leaves_it_for_the_blocks(
    tiny_path: str, tmp_path: Path, worker: EvaluationWorker, loads: Loads
) -> None:
    worker.evaluate(asked(tiny_path, tmp_path, SMALL), ignore)
    worker.measure_performance(PerformanceOrder("f16", tiny_path, SMALL, str(tmp_path / "f16.json")), ignore)
    worker.evaluate(asked(tiny_path, tmp_path, SMALL), ignore)
    assert loads.files == ["tiny", "tiny"] and loads.most == 1


def test_another_arm_takes_the_place_of_the_first(
    tiny_path: str, tmp_path: Path, worker: EvaluationWorker, loads: Loads
) -> None:
    other = shutil.copy(tiny_path, tmp_path / "other.gguf")
    for path in (tiny_path, str(other), tiny_path):
        worker.evaluate(asked(path, tmp_path, SMALL), ignore)
    assert loads.files == ["tiny", "other", "tiny"] and loads.most == 1


def test_a_reference_and_its_arm_in_another_layout_share_the_weights_of_their_file(
    tiny_path: str, tmp_path: Path, worker: EvaluationWorker, loads: Loads, tiny: Model
) -> None:
    chunks = load("perplexity_pydoc", data_dir=None, sampling=Sampling(), vocabulary=tiny).items[:1]
    reference = ReferenceModel(tiny_path, LARGE)
    how = replace(LARGE, n_ubatch=64)
    block = BlockOrder(
        *("f16_aa", tiny_path, "perplexity_pydoc", Scorer("measured"), chunks, (0,), Sampling(), how),
        str(tmp_path / "aa.jsonl"),
        reference=reference,
    )
    worker.evaluate_together(PassOrder((block,), host_threads=1), [ignore])
    assert loads.files == ["tiny"]


def test_the_memory_of_the_weights_is_told_by_an_engine_that_did_not_load_them(tiny_path: str) -> None:
    whole = LlamaEngine(tiny_path, SMALL)
    with Model(tiny_path) as loaded:
        part = LlamaEngine(tiny_path, SMALL, model=loaded)
        assert part.take_usage().memory == whole.take_usage().memory
        part.close()
    whole.close()


def test_an_engine_without_room_for_its_context_frees_its_weights(
    tiny_path: str, loads: Loads, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: Any, **__: Any) -> None:
        raise NoRoomError("no memory")

    monkeypatch.setattr(context, "_parameters", no_room)
    with pytest.raises(LlamaError, match="no memory"):
        LlamaEngine(tiny_path, SMALL)
    assert (loads.files, loads.now) == (["tiny"], 0)
