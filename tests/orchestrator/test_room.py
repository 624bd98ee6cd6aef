"""The limit on all KV caches of a run that an earlier version has kept."""

from __future__ import annotations

from pathlib import Path

from actors.orchestrator.room import with_kept_cache_limit
from actors.store import RunDirectory
from conf.files import write_json
from tests.orchestrator.small_plan import make_config


def test_the_kept_limit_holds_unless_the_configuration_has_a_smaller_one(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    assert with_kept_cache_limit(make_config(), run) == make_config()
    write_json(run.cache_limit, {"kv_cache_mib": 100})
    for given, used in ((None, 100), (200, 100), (50, 50)):
        config = make_config(layout={"kv_cache_mib": given})
        assert with_kept_cache_limit(config, run).layout.kv_cache_mib == used
