"""Downloads from a small hub on loopback: what is downloaded, what is downloaded again, and what is refused."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from actors.hub import Hub, Snapshot
from conf.faults import BadInput
from conf.hub_ids import HubId
from tests import hub_server
from tests.hub_server import COMMIT, TOKEN, Repository, serving

WEIGHTS = np.random.default_rng(0).bytes(200_000)
FILES = {"config.json": b"{}", "model.safetensors": WEIGHTS, "more/big.gguf": WEIGHTS[::-1]}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[hub_server.Hub]:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with serving(
        org__model=Repository(FILES),
        org__hidden=Repository(FILES, access="private"),
        org__gated=Repository(FILES, access="gated"),
        org__data=Repository({"train.jsonl": b'{"text": "a"}\n'}, kind="datasets"),
    ) as hub:
        yield hub


@pytest.fixture
def hub(server: hub_server.Hub, tmp_path: Path) -> Hub:
    return Hub(endpoint=server.endpoint, cache_dir=tmp_path / "cache")


def fetch(hub: Hub, snapshot: Snapshot, *names: str) -> tuple[Path, int]:
    """Fetch files. Return the folder and the number of bytes reported."""
    came: list[int] = []
    folder = hub.fetch(snapshot, names, key="--model", report=came.append)
    return folder, sum(came)


def test_a_repository_is_looked_up_and_its_files_are_downloaded_once(hub: Hub, server: hub_server.Hub) -> None:
    snapshot = hub.snapshot(HubId("org/model"), key="--model")
    assert snapshot.origin == {"repository": "org/model", "revision": "main", "commit": COMMIT}
    assert snapshot.files == {name: len(content) for name, content in FILES.items()}
    assert hub.missing_bytes(snapshot, FILES) == sum(map(len, FILES.values()))
    folder, came = fetch(hub, snapshot, *FILES)
    assert {name: (folder / name).read_bytes() for name in FILES} == FILES
    assert came == sum(map(len, FILES.values()))
    before = len(server.requests)
    assert fetch(hub, snapshot, *FILES) == (folder, 0)
    assert hub.missing_bytes(snapshot, FILES) == 0
    assert len(server.requests) == before


def test_a_download_resumes_after_a_broken_connection(hub: Hub, server: hub_server.Hub) -> None:
    # huggingface_hub writes pieces of 10 MiB, so the incomplete last piece is downloaded again.
    big = np.random.default_rng(1).bytes(12_000_000)
    server.repositories["org/big"] = Repository({"model.safetensors": big})
    server.break_after, server.breaks_left = 11_000_000, 1
    folder, came = fetch(hub, hub.snapshot(HubId("org/big"), key="--model"), "model.safetensors")
    assert (folder / "model.safetensors").read_bytes() == big
    assert came == len(big)
    assert server.sent("model.safetensors") == [None, f"bytes={10 * 2**20}-"]


def test_a_download_resumes_after_a_killed_process(hub: Hub, server: hub_server.Hub, tmp_path: Path) -> None:
    snapshot = hub.snapshot(HubId("org/model"), key="--model")
    blobs = tmp_path / "cache" / "models--org--model" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{hashlib.sha256(WEIGHTS).hexdigest()}.begun").write_bytes(WEIGHTS[:150_000])
    folder, _ = fetch(hub, snapshot, "model.safetensors")
    assert server.sent("model.safetensors") == ["bytes=150000-"]
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS


def test_a_file_with_another_sha256_is_refused_and_deleted(hub: Hub, tmp_path: Path) -> None:
    snapshot = hub.snapshot(HubId("org/model"), key="--model")
    blobs = tmp_path / "cache" / "models--org--model" / "blobs"
    blobs.mkdir(parents=True)
    begun = blobs / f"{hashlib.sha256(WEIGHTS).hexdigest()}.begun"
    begun.write_bytes(bytes(150_000))
    with pytest.raises(BadInput, match="sha256 differs"):
        fetch(hub, snapshot, "model.safetensors")
    assert not begun.exists()
    folder, _ = fetch(hub, snapshot, "model.safetensors")
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS


@pytest.mark.parametrize(
    ("hub_id", "said"),
    [
        (HubId("org/missing"), "the id of a model on 127.0.0.1.*HF_TOKEN"),
        (HubId("org/data"), "the id of a model"),
        (HubId("org/hidden"), "HF_TOKEN"),
        (HubId("org/model", "v9"), "a branch, tag or commit of org/model"),
        (HubId("org/bad..name"), "owner/name"),
    ],
)
def test_a_failed_look_up_is_bad_input_with_the_next_step(hub: Hub, hub_id: HubId, said: str) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        hub.snapshot(hub_id, key="--arm")
    assert [fault.key for fault in caught.value.faults] == ["--arm"]


def test_a_gated_repository_says_to_accept_its_conditions(hub: Hub) -> None:
    snapshot = hub.snapshot(HubId("org/gated"), key="--model")
    with pytest.raises(BadInput, match="Accept its conditions on its page, and set HF_TOKEN"):
        fetch(hub, snapshot, "model.safetensors")


def test_a_token_gives_access_and_a_wrong_token_is_reported_but_not_shown(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    for name in ("org/hidden", "org/gated"):
        folder, _ = fetch(hub, hub.snapshot(HubId(name), key="--model"), "model.safetensors")
        assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(BadInput, match="Check HF_TOKEN: it is not accepted") as caught:
        hub.snapshot(HubId("org/model"), key="--model")
    assert "hf_wrong" not in str(caught.value)


def test_without_the_hub_a_cached_commit_works_and_a_branch_does_not(
    hub: Hub, server: hub_server.Hub, tmp_path: Path
) -> None:
    fetch(hub, hub.snapshot(HubId("org/model"), key="--model"), "config.json")
    alone = Hub(endpoint="http://127.0.0.1:9", cache_dir=tmp_path / "cache")
    assert alone.snapshot(HubId("org/model", COMMIT), key="--model").files == {"config.json": 2}
    with pytest.raises(BadInput, match="a hub that answers"):
        alone.snapshot(HubId("org/model"), key="--model")


def test_a_data_set_is_found_among_data_sets(hub: Hub) -> None:
    snapshot = hub.snapshot(HubId("org/data"), kind="dataset", key="--calibration")
    folder, _ = fetch(hub, snapshot, "train.jsonl")
    assert (folder / "train.jsonl").read_bytes() == b'{"text": "a"}\n'
