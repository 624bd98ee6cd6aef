"""The devices that llama.cpp can offload to in this process, in a fixed order, with what llama.cpp says about them.

Looking at devices starts their drivers, and a driver takes some memory of its device. So only processes that decode,
and the one that reads the facts of a machine, do it. The order is that in which llama.cpp takes devices by itself:
RPC servers, then GPUs, then GPUs inside a processor if there are no others.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from dataclasses import dataclass

from llama_cpp._ggml import libggml

from actors.llama import library
from actors.llama.devices import Device
from actors.llama.rpc_servers import VARIABLE, RpcServerFailed, check_different, check_server
from conf.environment import read_rpc_servers

RPC_BACKEND, RPC_KIND = "RPC", "RPC server"
"""llama.cpp describes the device of an RPC server by the server's address. What computes there is not known here."""
_GPU, _GPU_IN_PROCESSOR = 1, 2
_FREE_WITHIN_S = 60.0
"""Seconds that a process which decodes waits for an RPC server. The worker before it may just have been ended, and the
server notices that only after the graph that it computes."""
_added: set[str] = set()
"""Addresses of the RPC servers whose devices are registered in this process."""
_NOT_STARTED = re.compile(r"failed to initialize (.+)")


class _Properties(ctypes.Structure):
    """`struct ggml_backend_dev_props`."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("description", ctypes.c_char_p),
        ("memory_free", ctypes.c_size_t),
        ("memory_total", ctypes.c_size_t),
        ("type", ctypes.c_int),
        ("device_id", ctypes.c_char_p),
        ("capabilities", ctypes.c_bool * 5),
    )


def _declare(name: str, returns: type | None, *arguments: type) -> None:
    function = getattr(libggml, name)
    function.restype, function.argtypes = returns, arguments


_declare("ggml_backend_dev_count", ctypes.c_size_t)
_declare("ggml_backend_dev_get", ctypes.c_void_p, ctypes.c_size_t)
_declare("ggml_backend_dev_get_props", None, ctypes.c_void_p, ctypes.c_void_p)
_declare("ggml_backend_dev_backend_reg", ctypes.c_void_p, ctypes.c_void_p)
_declare("ggml_backend_reg_count", ctypes.c_size_t)
_declare("ggml_backend_reg_get", ctypes.c_void_p, ctypes.c_size_t)
_declare("ggml_backend_reg_name", ctypes.c_char_p, ctypes.c_void_p)
_declare("ggml_backend_reg_by_name", ctypes.c_void_p, ctypes.c_char_p)
_declare("ggml_backend_reg_get_proc_address", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)
_declare("ggml_backend_register", None, ctypes.c_void_p)


@dataclass(frozen=True)
class OpenDevice:
    """A device of this process."""

    handle: int
    """ggml's pointer to it."""
    facts: Device


def list_devices(within_s: float = _FREE_WITHIN_S) -> tuple[Device, ...]:
    """Return the devices of this process. Raise `RpcServerFailed` if an RPC server does not answer in time."""
    return tuple(one.facts for one in open_devices(within_s))


def open_devices(within_s: float = _FREE_WITHIN_S) -> tuple[OpenDevice, ...]:
    """Return the devices with their handles. Raise `RpcServerFailed` if an RPC server does not answer in time."""
    library.start()
    _add_rpc_servers(within_s)
    found = list(_found())
    remote = [one for kind, _, one in found if kind == _GPU and one.facts.backend == RPC_BACKEND]
    cards, known = [], set()
    for kind, card_id, one in found:
        # Two backends of one build can drive the same card.
        if kind == _GPU and one not in remote and (card_id is None or card_id not in known):
            cards.append(one)
            known.add(card_id)
    inside = [one for kind, _, one in found if kind == _GPU_IN_PROCESSOR]
    # The same one may be shown by several backends, and nothing tells whether it is the same.
    inside = [one for one in inside if one.facts.backend == inside[0].facts.backend]
    return (*remote, *(cards or inside))


def list_backends() -> tuple[str, ...]:
    """Return the names of the backends of this build, such as `CUDA`, whether or not they have devices here."""
    library.start()
    registries = [libggml.ggml_backend_reg_get(number) for number in range(libggml.ggml_backend_reg_count())]
    return tuple(libggml.ggml_backend_reg_name(one).decode() for one in registries)


def start_failures() -> tuple[str, ...]:
    """Return what llama.cpp said about backends that it could not start, such as a CUDA that the driver is too old for.

    It says so in its log when it looks for devices first.
    """
    library.start()
    return tuple(match[1] for line in library.log_tail() if (match := _NOT_STARTED.search(line)))


def _found() -> Iterator[tuple[int, bytes | None, OpenDevice]]:
    """Yield the type, the id of the card, and the device, for everything that is registered."""
    for number in range(libggml.ggml_backend_dev_count()):
        handle = libggml.ggml_backend_dev_get(number)
        says = _Properties()
        libggml.ggml_backend_dev_get_props(handle, ctypes.byref(says))
        backend = libggml.ggml_backend_reg_name(libggml.ggml_backend_dev_backend_reg(handle)).decode()
        kind = RPC_KIND if backend == RPC_BACKEND else says.description.decode("utf-8", "replace").strip()
        shares_host = says.type == _GPU_IN_PROCESSOR
        device = Device(says.name.decode(), kind, backend, says.memory_total, says.memory_free, shares_host)
        yield says.type, says.device_id, OpenDevice(handle, device)


def _add_rpc_servers(within_s: float) -> None:
    """Register the devices of the RPC servers that the environment names, unless this process has done so before."""
    servers = [one for one in dict.fromkeys(read_rpc_servers()) if one not in _added]
    if not servers:
        return
    backend = libggml.ggml_backend_reg_by_name(RPC_BACKEND.encode())
    if not backend:
        step = f'Build llama-cpp-python with CMAKE_ARGS="-DGGML_RPC=on", or unset {VARIABLE}.'
        raise RpcServerFailed(f"{VARIABLE} is set, but this build of llama.cpp has no RPC backend", step)
    address = libggml.ggml_backend_reg_get_proc_address(backend, b"ggml_backend_rpc_add_server")
    add_server = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_char_p)(address)
    check_different(servers)
    for server in servers:
        check_server(server, within_s)
    for server in servers:
        registry = add_server(server.encode())
        if not registry:
            step = f"Start it with a device, or take it out of {VARIABLE}."
            raise RpcServerFailed(f"the RPC server {server} of {VARIABLE} has no device", step)
        libggml.ggml_backend_register(registry)
        _added.add(server)
