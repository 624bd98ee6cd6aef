"""Shared fixtures: a tiny model with random weights, a small real model, and the folder of data sets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.engines.llama import LlamaEngine
from actors.llama.layout import EngineLayout
from actors.llama.model import Model
from tests import small_model
from tests.rpc_servers import RpcBuild, require_rpc_build
from tests.tiny_model import write_tiny_model
from tests.vulkan_driver import VulkanBuild, require_vulkan_build


def layout(
    *,
    sequences: int = 4,
    n_ctx: int = 2048,
    n_batch: int = 256,
    n_ubatch: int = 128,
    unified: bool = True,
    share: bool = True,
) -> EngineLayout:
    """Return a small layout with one thread, so that tests do not compete for cores."""
    return EngineLayout(
        threads=1,
        sequences=sequences,
        n_batch=n_batch,
        n_ubatch=n_ubatch,
        n_ctx=n_ctx,
        kv_unified=unified,
        flash_attention=False,
        gpu_layers=0,
        share_prefixes=share,
    )


def ignore(tokens: int) -> None:
    """Ignore the reported number of tokens."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the files that take longest start first: one of them at the end would leave the other process idle."""
    items.sort(key=lambda item: not item.nodeid.startswith(("tests/jobs/", "tests/tracking/")))


@pytest.fixture(scope="session")
def tiny_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_tiny_model(tmp_path_factory.mktemp("tiny") / "tiny.gguf"))


@pytest.fixture(scope="session")
def tiny(tiny_path: str) -> Iterator[Model]:
    with Model(tiny_path) as model:
        yield model


@pytest.fixture
def engine(tiny_path: str) -> Iterator[LlamaEngine]:
    made = LlamaEngine(tiny_path, layout())
    yield made
    made.close()


@pytest.fixture(scope="session")
def smollm2_path() -> str:
    return str(small_model.smollm2_path())


@pytest.fixture(scope="session")
def data_dir() -> Path:
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no data sets at {folder}")
    return folder


@pytest.fixture(scope="session")
def rpc_build(tmp_path_factory: pytest.TempPathFactory) -> RpcBuild:
    return require_rpc_build(tmp_path_factory.mktemp("rpc"))


@pytest.fixture(scope="session")
def vulkan_build(tmp_path_factory: pytest.TempPathFactory) -> VulkanBuild:
    return require_vulkan_build(tmp_path_factory.mktemp("vulkan"))
