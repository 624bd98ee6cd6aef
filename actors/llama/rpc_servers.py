"""Ask llama.cpp's RPC servers whether they can be used, before llama.cpp does.

llama.cpp waits for a server without an end, and ends the process if the server speaks another version or breaks off.
Here each question has a limit, and each failure says what is wrong. The question is the greeting of llama.cpp's own
protocol (`negotiate_hello` in ggml-rpc.cpp): nothing else tells a free server from one that serves another client.
"""

from __future__ import annotations

import re
import socket
import struct
import time
from collections.abc import Sequence

from actors.errors import LlamaError
from conf.environment import read_rpc_servers

VARIABLE = "QUANT_ASSAY_RPC_SERVERS"
PROTOCOL = (7, 0)
"""Version of the protocol that llama.cpp speaks here: `RPC_PROTO_MAJOR_VERSION` and `RPC_PROTO_MINOR_VERSION` of
ggml-rpc.h. A server with the same first number and a second one that is not higher can be used."""
_LOST_AFTER_S = 3.0
_CAPABILITIES_BYTES = 24
_GREETING = struct.pack("<BQ", 14, _CAPABILITIES_BYTES) + bytes(_CAPABILITIES_BYTES)
"""`RPC_CMD_HELLO`, the size of what follows, and the ways of transport beside TCP that we know: none."""
_SIZE = struct.Struct("<Q")
_ANSWER_BYTES = range(3, 256)
"""The answer begins with three bytes for the version. Older servers send nothing more."""
_ADDRESS = re.compile(r"(?P<host>[^:\[\]\s]+):(?P<port>\d{1,5})")
_CLOSE_WITH_RESET, _CLOSE_IN_ORDER = struct.pack("ii", 1, 0), struct.pack("ii", 0, 0)


class RpcServerFailed(LlamaError):
    """An RPC server cannot be used, or was lost. `found` says what is wrong, `step` what to do."""

    def __init__(self, found: str, step: str) -> None:
        super().__init__(f"{found}. {step}")
        self.found, self.step = found, step

    def __reduce__(self) -> tuple[type[RpcServerFailed], tuple[str, str]]:
        return (type(self), (self.found, self.step))


def check_server(address: str, within_s: float) -> None:
    """Return if a server answers and is free for this process.

    Args:
        address: `HOST:PORT`. llama.cpp takes no IPv6 address.
        within_s: seconds that it gets.

    Raises:
        RpcServerFailed: it does not, or what listens there is no server that llama.cpp can use.
    """
    parts = _ADDRESS.fullmatch(address)
    if parts is None or not 0 < int(parts["port"]) < 2**16:
        found = f"{address!r} in {VARIABLE} is no address"
        raise RpcServerFailed(found, "Write HOST:PORT with a name or an IPv4 address; llama.cpp takes no IPv6 address.")
    server, until = f"the RPC server {address} of {VARIABLE}", time.monotonic() + within_s
    try:
        connection = socket.create_connection((parts["host"], int(parts["port"])), within_s)
    except OSError as error:
        step = f"Start it, or take it out of {VARIABLE}."
        raise RpcServerFailed(f"{server} does not answer ({error.strerror or error})", step) from None
    with connection:
        # A server that accepts us later would answer into a closed connection, and that ends it (SIGPIPE). After a
        # reset it only learns that the connection is gone.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _CLOSE_WITH_RESET)
        try:
            connection.sendall(_GREETING)
            version = _read_version(connection, until)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _CLOSE_IN_ORDER)
        except TimeoutError:
            found = (
                f"{server} takes connections, but gave no answer in {within_s:.0f} s. It serves one client at a time, "
                "so another program is using it, or something else listens there"
            )
            step = f"End that program or wait for its end, start another server, or change {VARIABLE}."
            raise RpcServerFailed(found, step) from None
        except OSError:
            version = None
    _check_version(server, version)


def check_different(addresses: Sequence[str]) -> None:
    """Raise `RpcServerFailed` if two addresses are names of one server: a process would wait for itself.

    A name that is not known here is left to `check_server`.
    """
    seen: dict[object, str] = {}
    for address in addresses:
        host, _, port = address.rpartition(":")
        try:
            places = {one[4] for one in socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_STREAM)}
        except (OSError, UnicodeError):
            continue
        for place in places & seen.keys():
            said = f"{seen[place]} and {address} of {VARIABLE} are one RPC server"
            raise RpcServerFailed(said, "Name each server once: it serves one client at a time.")
        seen |= dict.fromkeys(places, address)


def lost_servers() -> str:
    """Return what is wrong with the RPC servers that the environment names; an empty text if all of them answer."""
    found = []
    for server in dict.fromkeys(read_rpc_servers()):
        try:
            check_server(server, _LOST_AFTER_S)
        except RpcServerFailed as error:
            found.append(str(error))
    return " ".join(found)


def _check_version(server: str, version: tuple[int, int, int] | None) -> None:
    ours, step = ".".join(map(str, PROTOCOL)), "Start the ggml-rpc-server of the llama.cpp that is installed here."
    if version is None:
        found = f"{server} does not answer as llama.cpp's protocol {ours} demands: it is much older, or no RPC server"
        raise RpcServerFailed(found, step)
    if version[0] != PROTOCOL[0] or version[1] > PROTOCOL[1]:
        theirs = ".".join(map(str, version))
        raise RpcServerFailed(f"{server} speaks version {theirs} of llama.cpp's protocol, and we speak {ours}", step)


def _read_version(connection: socket.socket, until: float) -> tuple[int, int, int] | None:
    """Return the version that a server says it speaks; None if its answer is no answer of an RPC server.

    Raises:
        TimeoutError: it says nothing, or too little.
        OSError: the connection breaks.
    """
    head = _read(connection, _SIZE.size, until)
    if head is None or _SIZE.unpack(head)[0] not in _ANSWER_BYTES:
        return None
    answer = _read(connection, _SIZE.unpack(head)[0], until)
    return None if answer is None else (answer[0], answer[1], answer[2])


def _read(connection: socket.socket, size: int, until: float) -> bytes | None:
    """Return this many bytes; None if the other side ends the connection before."""
    received = b""
    while len(received) < size:
        left_s = until - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        connection.settimeout(left_s)
        more = connection.recv(size - len(received))
        if not more:
            return None
        received += more
    return received
