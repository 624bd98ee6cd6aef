"""Devices without a GPU: llama.cpp's RPC servers on this machine. Each is a process with memory of its own.

This needs llama.cpp of the version that `llama_cpp` is built from, built with `-DGGML_RPC=ON` and shared libraries.
`LLAMA_RPC` is the folder with its `libllama.so`, `libggml*.so` and `ggml-rpc-server`. Tests that need it are skipped
without. A process can load only one llama.cpp, so such tests start processes of their own, with `RpcBuild.environment`.
"""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import llama_cpp
import psutil
import pytest

_SMALLER_MACHINE = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <unistd.h>

long sysconf(int name) {{
    long (*real)(int) = (long (*)(int)) dlsym(RTLD_NEXT, "sysconf");
    return name == _SC_PHYS_PAGES ? {size}L / real(_SC_PAGE_SIZE) : real(name);
}}
"""


@dataclass(frozen=True)
class RpcBuild:
    """A llama.cpp with the RPC backend."""

    libraries: Path
    """Folder with its libraries and its server."""
    package: Path
    """Folder for PYTHONPATH: the installed `llama_cpp` package, with those libraries."""
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def environment(self, *servers: str) -> dict[str, str]:
        """Return the variables of a process that has the devices of these servers."""
        return {"PYTHONPATH": str(self.package), "QUANT_ASSAY_RPC_SERVERS": ",".join(servers)}

    @contextlib.contextmanager
    def server(
        self, *, devices: int = 1, memory_bytes: int | None = None, says_bytes: int | None = None
    ) -> Iterator[str]:
        """Start a server and yield its address.

        Args:
            devices: how many devices it offers, each with one thread.
            memory_bytes: the most memory of its process, with its libraries. None: no limit.
            says_bytes: the memory that it says it has. None: that of the machine.
        """
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = [self.libraries / "ggml-rpc-server", "-H", "127.0.0.1", "-p", str(port), "-t", "1"]
        command += ["-d", ",".join(["CPU"] * devices)]

        def limit() -> None:
            if memory_bytes is not None:
                resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))

        quiet, environment = subprocess.DEVNULL, dict(os.environ)
        if says_bytes is not None:
            environment["LD_PRELOAD"] = str(self._smaller_machine(says_bytes))
        process = subprocess.Popen(command, stdout=quiet, stderr=quiet, preexec_fn=limit, env=environment)
        try:
            _wait_for(port, process)
            self._running[f"127.0.0.1:{port}"] = process
            yield f"127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait()

    def end_once_it_computes(self, address: str, job: subprocess.Popen[str], *, after_s: float = 1.0) -> None:
        """Kill a server as soon as it has used the processor for some seconds, unless `job` ends before."""
        server = psutil.Process(self._running[address].pid)
        while server.cpu_times().user < after_s and job.poll() is None:
            time.sleep(0.05)
        server.kill()

    def _smaller_machine(self, size: int) -> Path:
        """Return a library by which a process sees this much memory. Skip the test without a C compiler."""
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            pytest.skip("no C compiler for a library that shows less memory")
        library = self.package / f"memory-{size}.so"
        command = [compiler, "-shared", "-fPIC", "-x", "c", "-", "-o", str(library)]
        subprocess.run(command, input=_SMALLER_MACHINE.format(size=size), text=True, check=True)
        return library


def require_rpc_build(folder: Path) -> RpcBuild:
    """Return the build that LLAMA_RPC names. Skip the test if there is none. `folder`: for the package."""
    found = find_rpc_build(folder)
    if found is None:
        pytest.skip("no llama.cpp with the RPC backend: set LLAMA_RPC to the folder of ggml-rpc-server")
    return found


def find_rpc_build(folder: Path) -> RpcBuild | None:
    """Return the build that LLAMA_RPC names; None if there is none. `folder`: for the package."""
    libraries = Path(os.environ.get("LLAMA_RPC", ""))
    if not (libraries / "ggml-rpc-server").is_file():
        return None
    link_package(folder, libraries)
    return RpcBuild(libraries, folder)


def link_package(folder: Path, libraries: Path) -> None:
    """Put the installed `llama_cpp` package into a folder for PYTHONPATH, with the libraries of another build."""
    (folder / "llama_cpp").mkdir()
    for file in Path(llama_cpp.__file__).parent.glob("*.py"):
        (folder / "llama_cpp" / file.name).symlink_to(file)
    (folder / "llama_cpp" / "lib").symlink_to(libraries.resolve())


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while True:
        assert process.poll() is None, "the server exited at once"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < deadline
        time.sleep(0.05)
