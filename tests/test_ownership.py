"""One owner per run directory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from actors.errors import ConflictError
from actors.ownership import check_owner, owned
from actors.store import RunDirectory
from conf.faults import BadInput

HOLD = (
    "import sys, time\nfrom actors.ownership import owned\nfrom actors.store import RunDirectory\n"
    "with owned(RunDirectory(sys.argv[1]), 'job-1'):\n    print('owned', flush=True); time.sleep(60)\n"
)


def hold(root: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(root)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def test_a_second_live_owner_is_refused_and_the_first_is_named(tmp_path: Path) -> None:
    with hold(tmp_path / "p") as process:
        try:
            with (
                pytest.raises(BadInput, match=rf"process {process.pid} .*Ray job job-1"),
                owned(RunDirectory(tmp_path / "p"), None),
            ):
                pass
        finally:
            process.kill()


@pytest.mark.parametrize("is_there", ["file in place of the run directory", "folder in place of the lock", "pipe"])
def test_what_is_no_run_directory_is_refused(tmp_path: Path, is_there: str) -> None:
    run = RunDirectory(tmp_path / "p")
    if is_there.startswith("file"):
        run.root.write_text("mine")
    else:
        run.root.mkdir()
        os.mkfifo(run.lock) if is_there == "pipe" else run.lock.mkdir()
    with pytest.raises(BadInput, match=r"--pipeline-id: got 'p'.* is not a (file|folder)"), owned(run, None):
        pass


def test_a_dead_owner_is_replaced(tmp_path: Path) -> None:
    with hold(tmp_path / "p") as process:
        os.kill(process.pid, signal.SIGKILL)
    with owned(RunDirectory(tmp_path / "p"), None) as token:
        check_owner(RunDirectory(tmp_path / "p"), token)


def test_a_replaced_owner_notices(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "p")
    with owned(run, None) as first:
        pass
    with owned(run, None), pytest.raises(ConflictError):
        check_owner(run, first)
