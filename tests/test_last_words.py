"""What is told about a worker that native code has ended: from what real processes write when llama.cpp ends them."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray

from actors.ray_process.actor import ask_last_words, error_file, node_id, prepare
from actors.ray_process.last_words import MOST_LETTERS, MOST_LINES, LastWords, last_words
from conf.environment import protect_local_ray, silence_ray

ROOT = Path(__file__).parents[1]
RAY_NOISE = """
*** SIGABRT received at time=1796004199 on cpu 1 ***
PC: @     0x7f07cd6a8eec  (unknown)  (unknown)
    @     0x7f07cd65a050       7888  (unknown)
[2026-11-30 02:03:19,524 E 22041 23879] logging.cc:474: *** SIGABRT received at time=1796004199 on cpu 1 ***
Fatal Python error: Aborted

Extension modules: msgpack._cmsgpack, google._upb._message
"""
LOST = "/src/ggml/src/ggml-rpc/ggml-rpc.cpp:566: Remote RPC server crashed or returned malformed response\n"


def words_of(folder: Path, written: str) -> LastWords | None:
    path = folder / "worker.err"
    path.write_text(written, encoding="utf-8")
    return last_words(str(path))


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        (
            "CUDA error: an illegal memory access\n/src/ggml-cuda/ggml-cuda.cu:97: CUDA error\n",
            "llama.cpp ended it (CUDA error: an illegal memory access; ggml-cuda.cu:97: CUDA error)",
        ),
        ("/src/ggml.c:12: GGML_ASSERT(n > 0) failed\n", "llama.cpp ended it (ggml.c:12: GGML_ASSERT(n > 0) failed)"),
        (
            "terminate called after throwing an instance of 'vk::DeviceLostError'\n  what():  vk::Queue: lost\n",
            "native code ended it (vk::Queue: lost)",
        ),
        ("*** SIGSEGV received at time=1 on cpu 0 ***\n", "native code ended it (SIGSEGV)"),
    ],
)
def test_the_reason_is_what_native_code_says(tmp_path: Path, written: str, reason: str) -> None:
    found = words_of(tmp_path, f":job_id:01000000\n{written}{RAY_NOISE if 'SIGSEGV' not in written else ''}")
    assert found is not None and found.reason == reason
    assert found.log_tail == tuple(line for line in written.splitlines() if "SIG" not in line)


@pytest.mark.parametrize("written", ["", ":job_id:01000000\nsome warning: it is late\n"])
def test_a_process_that_says_nothing_has_no_last_words(tmp_path: Path, written: str) -> None:
    assert words_of(tmp_path, written) is None
    assert last_words(str(tmp_path)) is None
    assert last_words(str(tmp_path / "none")) is None
    assert last_words("pipe:[17]") is None
    assert last_words("/dev/null") is None


def test_only_the_end_is_kept(tmp_path: Path) -> None:
    found = words_of(tmp_path, f"{'x' * 1000}\n" * 300 + "/a/b.cpp:1: the end\n")
    assert found is not None and found.reason == "llama.cpp ended it (b.cpp:1: the end)"
    assert len(found.log_tail) == MOST_LINES
    assert max(map(len, found.log_tail)) == MOST_LETTERS


def test_a_lost_server_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    monkeypatch.setenv("QUANT_ASSAY_RPC_SERVERS", address)
    found = words_of(tmp_path, LOST + RAY_NOISE)
    assert found is not None and found.reason == (
        "an RPC server was lost (ggml-rpc.cpp:566: Remote RPC server crashed or returned malformed response). Now the "
        f"RPC server {address} of QUANT_ASSAY_RPC_SERVERS does not answer (Connection refused). Start it, or take it "
        "out of QUANT_ASSAY_RPC_SERVERS"
    )


def test_real_aborts_of_llama_cpp_are_understood(tmp_path: Path) -> None:
    code = (
        "import ctypes\n"
        "from actors.llama import library\n"
        "from conf.environment import abort_without_debugger\n"
        "abort_without_debugger(); library.copy_errors()\n"
        "library._on_log(2, b'loading\\n', None); library._on_log(4, b'CUDA error: no kernel\\n', None)\n"
        "library.libggml.ggml_abort(b'/src/a.cpp', 7, b'no %s', b'way')\n"
    )
    with (tmp_path / "worker.err").open("wb") as log:
        ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stderr=log, check=False)
    assert ended.returncode == -6
    assert last_words(str(tmp_path / "worker.err")) == LastWords(
        "llama.cpp ended it (CUDA error: no kernel; a.cpp:7: no way)", ("CUDA error: no kernel", "/src/a.cpp:7: no way")
    )


@pytest.mark.parametrize(
    ("said", "no_memory"),
    [
        ("CUDA error: out of memory", True),
        ("CUDA error: CUBLAS_STATUS_ALLOC_FAILED", True),
        ("ROCm error: out of memory", True),
        ("CUDA error: an illegal memory access was encountered", False),
    ],
)
def test_a_device_without_memory_is_told_from_other_crashes(tmp_path: Path, said: str, no_memory: bool) -> None:
    found = words_of(tmp_path, f"{said}\n/src/ggml-cuda.cu:97: CUDA error\n{RAY_NOISE}")
    assert found is not None and found.no_memory is no_memory


class Crashing:
    """An actor that llama.cpp ends."""

    def crash(self) -> None:
        from actors.llama.library import libggml

        libggml.ggml_abort(b"/src/a.cpp", 7, b"no way")


@pytest.fixture
def local_ray() -> Iterator[None]:
    silence_ray()
    protect_local_ray()
    ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False, object_store_memory=80 * 2**20)
    yield
    ray.shutdown()


@pytest.mark.slow
def test_a_dead_actor_of_ray_is_asked_on_its_node(local_ray: None) -> None:
    handle: Any = ray.remote(Crashing).options(max_restarts=0).remote()
    handle.__ray_call__.remote(prepare)
    where = ray.get([handle.__ray_call__.remote(node_id), handle.__ray_call__.remote(error_file)])
    with pytest.raises(ray.exceptions.ActorDiedError):
        ray.get(handle.crash.remote())
    found = ask_last_words(*where)
    assert found is not None and found.reason == "llama.cpp ended it (a.cpp:7: no way)"
    assert ask_last_words("0" * 56, where[1]) is None
