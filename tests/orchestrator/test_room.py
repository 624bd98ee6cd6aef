"""Limits on the KV cache: half of the largest one, and the limit that a run directory keeps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from actors.orchestrator.room import with_half_of_largest_cache, with_kept_cache_limit
from actors.store import RunDirectory
from conf.files import write_json
from tests.orchestrator.small_plan import MODEL, make_config, make_inputs, make_small_plan


def test_the_new_limit_is_half_of_the_largest_cache(tmp_path: Path) -> None:
    # 4096 cells of 1 MiB in the widest benchmark.
    large = make_inputs(models=(replace(MODEL, kv_bytes_per_cell=2**20),))
    config = with_half_of_largest_cache(make_config(), make_small_plan(tmp_path, inputs=large))
    assert config is not None and config.layout.kv_cache_mib == 2048


def test_a_cache_below_2_mib_cannot_be_halved(tmp_path: Path) -> None:
    assert with_half_of_largest_cache(make_config(), make_small_plan(tmp_path)) is None


def test_the_kept_limit_holds_unless_the_configuration_has_a_smaller_one(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    assert with_kept_cache_limit(make_config(), run) == make_config()
    write_json(run.cache_limit, {"kv_cache_mib": 100})
    for given, used in ((None, 100), (200, 100), (50, 50)):
        config = make_config(layout={"kv_cache_mib": given})
        assert with_kept_cache_limit(config, run).layout.kv_cache_mib == used
