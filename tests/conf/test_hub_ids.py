"""Which names are paths, and which are repositories on the hub."""

from __future__ import annotations

from pathlib import Path

import pytest

from conf.faults import BadInput
from conf.hub_ids import HubId, parse_hub_id, stem_of


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use a working directory that has a folder `models`."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "there").mkdir()
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("org/name", HubId("org/name")),
        ("org/Name-1.5B_it", HubId("org/Name-1.5B_it")),
        ("org/name@v2", HubId("org/name", "v2")),
        ("org/name@refs/pr/3", HubId("org/name", "refs/pr/3")),
        ("org/name@main/sub/m-Q4_K_M.gguf", HubId("org/name", "main", "sub/m-Q4_K_M.gguf")),
        ("org/name@refs/pr/3/m.gguf", HubId("org/name", "refs/pr/3", "m.gguf")),
        ("hf:org/name/m.gguf", HubId("org/name", "main", "m.gguf")),
        ("hf:models/there", HubId("models/there")),
        ("models/there", None),
        ("models/missing", None),
        ("org/m.gguf", None),
        ("org/name/m.gguf", None),
        ("./org/name", None),
        ("/org/name", None),
        ("../org/name", None),
        ("m.gguf", None),
        ("name", None),
        ("package:pkg/m.gguf", None),
    ],
)
def test_a_name_is_a_path_or_a_repository(spec: str, expected: HubId | None) -> None:
    assert parse_hub_id(spec) == expected
    if expected is not None:
        assert parse_hub_id(str(expected)) == expected


@pytest.mark.parametrize("spec", ["hf:name", "hf:", "hf:org/name@", "hf:/org/name", "hf:org/na me"])
def test_the_scheme_without_an_id_is_bad_input(spec: str) -> None:
    with pytest.raises(BadInput, match="owner/name"):
        parse_hub_id(spec, key="--arm")


@pytest.mark.parametrize(
    ("spec", "stem"),
    [
        ("org/name@v2", "name"),
        ("hf:org/name@v2/m-Q4_K_M.gguf", "m-Q4_K_M"),
        ("a/b/m-Q8_0-00001-of-00003.gguf", "m-Q8_0"),
        ("models/there", "there"),
        ("m.gguf", "m"),
    ],
)
def test_models_are_named_after_files_and_repositories(spec: str, stem: str) -> None:
    assert stem_of(spec) == stem
