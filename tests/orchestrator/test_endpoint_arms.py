"""Addresses of endpoints: what is refused before anything starts, and that a refusal shows no secret."""

from __future__ import annotations

import pytest

from actors.orchestrator.sources.arms import endpoint_arm
from conf.faults import BadInput
from conf.schema.execution import Endpoints
from conf.schema.models import NamedPath

SECRET = "sk-123456"


def test_an_address_with_its_version_is_an_arm() -> None:
    arm = endpoint_arm(NamedPath(name="gptq", path="https://h:8000/v1?api-version=2026-01-01#m/x"), Endpoints())
    assert arm.endpoint is not None
    assert (arm.endpoint.url, arm.endpoint.model) == ("https://h:8000/v1?api-version=2026-01-01", "m/x")


@pytest.mark.parametrize(
    "path",
    [
        f"https://h/v1?api_key={SECRET}#m",
        f"https://h/v1?api-version=1&code={SECRET}#m",
        f"https://h/v1?{SECRET}#m",
        f"https://h/v1?={SECRET}#m",
        f"https://h/v1?api_key={SECRET}",
        f"https://user:{SECRET}@h/v1#m",
        f"https://{SECRET}@h/v1#m",
        f"https://h:{SECRET}/v1#m",
        f"https://[{SECRET}/v1#m",
        f"https://h/v1#m?api_key={SECRET}",
        "https://h/v1#\x1b[31mm",
        "https://h x/v1#m",
        "https://h/v1",
        "https:///v1#m",
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_its_secret(path: str) -> None:
    with pytest.raises(BadInput) as raised:
        endpoint_arm(NamedPath(name="gptq", path=path), Endpoints())
    assert SECRET not in str(raised.value) and str(raised.value).startswith("--arm: got 'gptq=")
