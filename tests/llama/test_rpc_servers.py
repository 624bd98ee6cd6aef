"""RPC servers are asked before llama.cpp asks them: each failure is told within a limit, and harms no server.

All servers but the last are sockets of this process.
"""

from __future__ import annotations

import contextlib
import pickle
import re
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import llama_cpp
import pytest

from actors.llama import library
from actors.llama.rpc_servers import PROTOCOL, RpcServerFailed, check_different, check_server
from tests.rpc_servers import RpcBuild

LIMIT_S = 0.3
GREETING_BYTES = 33


@contextlib.contextmanager
def listening(serve: Callable[[socket.socket], None] | None) -> Iterator[str]:
    """Yield the address of a server that serves each client in this way; None: it accepts none."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            with contextlib.suppress(OSError):  # the server was closed
                while serve is not None:
                    client, _ = server.accept()
                    with client:
                        serve(client)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def says(answer: bytes) -> Callable[[socket.socket], None]:
    """Return a way to serve: read the greeting, and answer in pieces."""

    def serve(client: socket.socket) -> None:
        received = b""
        while len(received) < GREETING_BYTES:
            received += client.recv(64)
        for byte in answer:
            client.sendall(bytes([byte]))

    return serve


def version(*numbers: int, size: int = 28) -> bytes:
    return struct.pack("<Q", size) + bytes(numbers) + bytes(size - 3)


@pytest.mark.parametrize("answer", [version(*PROTOCOL, 0), version(*PROTOCOL, 9), version(*PROTOCOL, 0, size=3)])
def test_a_server_of_our_version_can_be_used(answer: bytes) -> None:
    with listening(says(answer)) as address:
        check_server(address, 5.0)


@pytest.mark.parametrize(
    ("serve", "told"),
    [
        (None, "takes connections, but gave no answer in 0 s. It serves one client at a time"),
        (says(version(6, 0, 1)), "speaks version 6.0.1 of llama.cpp's protocol, and we speak 7.0"),
        (says(version(7, 1, 0)), "speaks version 7.1.0"),
        (says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "much older, or no RPC server"),
        (says(b""), "much older, or no RPC server"),
        (says(version(7, 0, 0)[:20]), "much older, or no RPC server"),
        (lambda client: None, "much older, or no RPC server"),
    ],
)
def test_what_cannot_be_used_is_told_within_the_limit(serve: Callable[[socket.socket], None] | None, told: str) -> None:
    with listening(serve) as address:
        began = time.monotonic()
        with pytest.raises(RpcServerFailed) as error:
            check_server(address, LIMIT_S)
    assert time.monotonic() - began < 5
    assert told in error.value.found and f"the RPC server {address} of QUANT_ASSAY_RPC_SERVERS" in error.value.found
    assert error.value.step.endswith(".") and str(error.value) == f"{error.value.found}. {error.value.step}"


def test_a_server_that_answers_too_slowly_is_told_within_the_limit() -> None:
    def slowly(client: socket.socket) -> None:
        for byte in version(7, 0, 0):
            client.sendall(bytes([byte]))
            time.sleep(0.1)

    with listening(slowly) as address, pytest.raises(RpcServerFailed, match="gave no answer"):
        check_server(address, LIMIT_S)


def test_a_server_that_is_not_there_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(RpcServerFailed, match=r"does not answer \(Connection refused\)\. Start it"):
        check_server(address, 5.0)


def test_two_names_of_one_server_are_refused() -> None:
    with pytest.raises(RpcServerFailed, match=r"localhost:50052 and 127\.0\.0\.1:50052 of QUANT.* are one RPC server"):
        check_different(["localhost:50052", "127.0.0.1:50052"])
    check_different(["127.0.0.1:50052", "127.0.0.1:50053", "127.0.0.2:50052", "no such host:1", "[::1]:1", ""])


@pytest.mark.parametrize("address", ["127.0.0.1", "host:", ":50052", "host:0", "host:65536", "host:x", "[::1]:50052"])
def test_what_is_no_address_is_told(address: str) -> None:
    with pytest.raises(RpcServerFailed, match="is no address"):
        check_server(address, 5.0)


def test_the_failure_survives_the_way_between_processes() -> None:
    failed = pickle.loads(pickle.dumps(RpcServerFailed("it is gone", "Start it.")))
    assert (failed.found, failed.step, str(failed)) == ("it is gone", "Start it.", "it is gone. Start it.")


def test_our_version_is_that_of_the_installed_llama_cpp() -> None:
    header = Path(llama_cpp.__file__).parents[1] / "include" / "ggml-rpc.h"
    numbers = dict(re.findall(r"define RPC_PROTO_(MAJOR|MINOR)_VERSION +(\d+)", header.read_text(encoding="utf-8")))
    assert (int(numbers["MAJOR"]), int(numbers["MINOR"])) == PROTOCOL


def test_without_the_backend_the_variable_is_told() -> None:
    code = "from actors.nodes_reading import machine_facts; print(machine_facts())"
    if library.supports_gpu():
        pytest.skip("the installed llama.cpp was built for devices")
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        env={"QUANT_ASSAY_RPC_SERVERS": "127.0.0.1:1", "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "has no RPC backend" in ended.stdout and "-DGGML_RPC=on" in ended.stdout


@pytest.mark.slow
def test_a_real_server_survives_a_client_that_gave_up(rpc_build: RpcBuild) -> None:
    with rpc_build.server() as address:
        check_server(address, 5.0)
        host, _, port = address.partition(":")
        with socket.create_connection((host, int(port))) as other:
            time.sleep(0.2)  # the server now waits for what this client says
            with pytest.raises(RpcServerFailed, match="gave no answer"):
                check_server(address, LIMIT_S)
            assert other
        check_server(address, 5.0)
