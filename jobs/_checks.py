"""The doctor's checks. Each function checks one thing and changes nothing.

The module imports packages that it checks. `jobs.doctor` reports it if they cannot be imported.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
import shutil
import socket
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import psutil
from packaging.requirements import Requirement

from actors.machine import existing_parent
from actors.nodes import device_notices
from actors.tracking.addresses import mask_secrets
from actors.tracking.reachable import check_reachable
from conf.environment import Environment
from conf.faults import BadInput
from jobs._check import GIB, Check, devices_text
from reporting.fonts import find_fonts

ROOT = Path(__file__).resolve().parent.parent
LOCK_FILES = ("requirements.lock", "requirements-model.lock")
LEAST_DISK_BYTES = 3 * 2**30
"""Enough for the GGUFs and caches of the demo. `jobs.pipeline --dry-run` shows what another plan needs."""
LEAST_MEMORY_BYTES = 3 * 2**30
"""Ray's own processes take about 1 GiB, two workers with the demo's model about 1 GiB more."""
CONNECT_TIMEOUT_S = 5.0
NATIVE_TIMEOUT_S = 120.0

_SHOW_LLAMA_BUILD = "import json; from actors.llama import library; print(json.dumps(library.build()))"
_SHOW_DEVICES = "from actors.node_process import start; print(start()(None))"
_WRITE_ONE_PAGE = "import weasyprint; weasyprint.HTML(string='<p>x</p>').write_pdf()"


def examine(environment: Environment, storage: Path, data_dir: Path | None) -> Iterator[Check]:
    """Run every check, in the order in which a job would fail."""
    yield check_python()
    yield check_packages(ROOT)
    llama = check_llama()
    yield llama
    if llama.fix is None:
        yield check_devices()
    yield check_pango()
    yield check_fonts()
    yield check_disk(storage)
    yield check_memory()
    if environment.ray_address:
        answers = check_ray(environment.ray_address)
        yield answers
        if answers.fix is None and llama.fix is None:
            # Not at the top: it loads llama.cpp, and a library for another CPU would end this process.
            from jobs._node_checks import check_nodes

            yield from check_nodes(environment)
    if environment.mlflow_tracking_uri:
        yield check_mlflow(environment.mlflow_tracking_uri)
    if data_dir is not None:
        yield check_data_dir(data_dir)


def check_python() -> Check:
    return Check("Python", f"{platform.python_version()}, {sys.executable}")


def check_packages(root: Path) -> Check:
    """Compare the installed packages with the lock files, for the lines whose markers apply to this machine."""
    wanted = [requirement for name in LOCK_FILES for requirement in locked(root / name)]
    differing = []
    for requirement in wanted:
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            differing.append(f"{requirement.name} is missing")
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            differing.append(
                f"{requirement.name} {version} in place of {str(requirement.specifier).removeprefix('==')}"
            )
    if not differing:
        return Check("Packages", f"{len(wanted)}, all with the locked versions")
    listed = ", ".join(differing[:8]) + (f" and {len(differing) - 8} more" if len(differing) > 8 else "")
    return Check("Packages", listed, "Run `make setup`, and start the jobs with its Python: .venv/bin/python.")


def locked(path: Path) -> list[Requirement]:
    """Return the requirements in a lock file that apply to this machine."""
    lines = path.read_text(encoding="utf-8").splitlines()
    named = [Requirement(line.rstrip("\\ ")) for line in lines if line[:1].isalnum()]
    return [requirement for requirement in named if requirement.marker is None or requirement.marker.evaluate()]


def check_llama() -> Check:
    """Load llama.cpp in another process, because a library for another CPU kills its process without a message."""
    done = _run_python(_SHOW_LLAMA_BUILD)
    if done.returncode != 0:
        fix = (
            "Build it for this machine again, with the options that it had: .venv/bin/python -m pip cache remove "
            "llama_cpp_python; rm .venv/.set-up/build .venv/.set-up/requirements.lock; make setup"
        )
        return Check("llama.cpp", _last_line(done), fix)
    build = json.loads(done.stdout.splitlines()[-1])
    return Check("llama.cpp", f"llama-cpp-python {build['llama_cpp_python']}; {build['cpu_features']}")


def check_devices() -> Check:
    """Ask llama.cpp for its devices in another process: CUDA takes memory of each card that is asked."""
    done = _run_python(_SHOW_DEVICES)
    fix = "Look at the driver of the cards (nvidia-smi must show them), and at the servers of QUANT_ASSAY_RPC_SERVERS."
    if done.returncode != 0:
        return Check("Devices", _last_line(done), fix)
    answer = json.loads(done.stdout.splitlines()[-1])
    if answer["error"] is not None:
        return Check("Devices", answer["error"], answer.get("step") or fix)
    # Not at the top, as it loads llama.cpp, which has started in another process by now.
    from actors.nodes_reading import node_facts

    here = node_facts(json.dumps({**answer, "host": platform.node(), "missing": []}), cpus=0, memory_bytes=0)
    return Check("Devices", devices_text(here.devices, here.driver), " ".join(device_notices(here)) or None)


def check_pango() -> Check:
    done = _run_python(_WRITE_ONE_PAGE)
    if done.returncode == 0:
        return Check("Pango", "the scorecard PDF can be made")
    fix = "Debian: apt-get install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0. Fedora: dnf install pango."
    return Check("Pango", _last_line(done), fix)


def check_fonts() -> Check:
    try:
        fonts = find_fonts()
    except BadInput as error:
        return Check("Japanese fonts", str(error), "Run `make setup`.")
    return Check("Japanese fonts", f"{fonts.regular.name}, {fonts.bold.name}")


def check_disk(storage: Path) -> Check:
    free_bytes = shutil.disk_usage(existing_parent(storage)).free
    enough = free_bytes >= LEAST_DISK_BYTES
    fix = f"Free {LEAST_DISK_BYTES // GIB} GiB, or put the runs elsewhere with --storage." if not enough else None
    return Check("Disk", f"{free_bytes / GIB:.1f} GiB free for {storage}", fix)


def check_memory() -> Check:
    available_bytes = psutil.virtual_memory().available
    enough = available_bytes >= LEAST_MEMORY_BYTES
    fix = "Close other programs, or run one worker at a time: --max-workers 1." if not enough else None
    return Check("Memory", f"{available_bytes / GIB:.1f} GiB available, {psutil.cpu_count()} CPUs", fix)


def check_ray(address: str) -> Check:
    """Check that something listens at RAY_ADDRESS, unless it is `auto` or `local`, which are no addresses."""
    if address in {"auto", "local"}:
        return Check("Ray", f"RAY_ADDRESS={address}: a job looks for the cluster when it starts")
    fix = "Start the cluster (`ray start --head`), fix RAY_ADDRESS, or unset it to use a local Ray."
    parts = urllib.parse.urlsplit(address if "://" in address else f"ray://{address}")
    try:
        host, port = parts.hostname or "", parts.port or 0
        socket.create_connection((host, port), CONNECT_TIMEOUT_S).close()
    except (OSError, ValueError) as error:
        return Check("Ray", f"{mask_secrets(address)} does not answer ({error})", fix)
    return Check("Ray", f"{mask_secrets(address)} answers")


def check_mlflow(uri: str) -> Check:
    try:
        check_reachable(uri)
    except BadInput as error:
        return Check("MLflow", error.faults[0].key + ": " + str(error.faults[0].got), error.faults[0].next_step)
    return Check("MLflow", f"{mask_secrets(uri)} answers")


def check_data_dir(data_dir: Path) -> Check:
    """Check that the folder exists and is not empty. The pipeline itself checks the data of each benchmark."""
    fix = "Name a folder that has one folder per data set, such as gsm8k/test.jsonl."
    if not data_dir.is_dir():
        return Check("Data", f"{data_dir} is not a folder", fix)
    folders = sorted(path.name for path in data_dir.iterdir() if path.is_dir())
    return Check("Data", ", ".join(folders), None) if folders else Check("Data", f"{data_dir} is empty", fix)


def _run_python(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=NATIVE_TIMEOUT_S, check=False)


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    said = [line for line in done.stderr.splitlines() if line.strip()]
    return said[-1][:300] if said else f"ended with code {done.returncode} and no message"
