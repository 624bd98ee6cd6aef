"""The memory of the results of very many items."""

from __future__ import annotations

import json
import sys

from tests.bench import programs

BYTES_PER_RECORD = 700
"""The bound, with the records themselves: it was 1000, and is 500 with 200,000 items per arm and 400 with a million,
whose two arms take 0.9 GB with the process."""


def test_a_record_takes_a_few_hundred_bytes_at_the_peak() -> None:
    n_items, n_arms = 200_000, 2
    child = programs.run(sys.executable, "-m", "tests.reporting.large_run", n_items)
    grown_mb = child.peak_rss_mb - json.loads(child.stdout)["before_mb"]
    assert grown_mb * 1e6 < BYTES_PER_RECORD * n_items * n_arms
