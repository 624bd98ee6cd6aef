"""The PowerShell tests run where there is a PowerShell."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.monitor.playing import replayed
from tests.ps.sources import PS


@pytest.mark.slow
def test_the_module_follows_the_specification() -> None:
    shell = shutil.which("pwsh")
    if shell is None:
        pytest.skip("there is no pwsh on this machine: ps/tests/Invoke-Tests.ps1 was not run")
    with replayed() as server:
        command = [shell, "-NoProfile", "-File", str(PS / "tests" / "Invoke-Tests.ps1"), "-Server", server.address]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=1200, check=False)
    lines = ended.stdout.splitlines()
    assert ended.returncode == 0, [line for line in lines if not line.startswith("ok ")]
    assert lines[-1].endswith(" passed, 0 failed")
