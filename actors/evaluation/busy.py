"""How busy other programs keep the processors of this machine while something is timed."""

from __future__ import annotations

import os
import time

import psutil

BUSY = 0.1
"""From this share on, a machine counts as busy, and its timings say little about it."""


class OtherWork:
    """Watches the processors from when it is made."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._all_s, self._own_s = _busy_s(), time.process_time()

    def share(self) -> float:
        """Return the share of all processors' time that other programs have used since then."""
        passed_s = (time.perf_counter() - self._started) * (os.cpu_count() or 1)
        others_s = (_busy_s() - self._all_s) - (time.process_time() - self._own_s)
        return min(max(others_s / max(passed_s, 1e-9), 0.0), 1.0)


def _busy_s() -> float:
    """Return the seconds that all processors of the machine have worked since it started."""
    times = psutil.cpu_times()
    return float(sum(getattr(times, name, 0.0) for name in ("user", "nice", "system", "irq", "softirq", "steal")))
