"""How much memory this process has held at most."""

from __future__ import annotations

import resource
import sys


def peak_rss_bytes() -> int:
    """Largest resident set of this process since it started, mapped model files included."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # getrusage(2): kibibytes on Linux, bytes on macOS.
    return peak if sys.platform == "darwin" else peak * 1024
