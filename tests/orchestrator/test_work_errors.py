"""What the loop is told about an error that a worker's call ended with."""

from __future__ import annotations

import pickle

import pytest
from ray.exceptions import RayTaskError

from actors.errors import EndpointFailed, EndpointRefused, LlamaError, NoRoomError
from actors.orchestrator.actor import _work_error


@pytest.mark.parametrize(
    ("cause", "kind"),
    [
        (EndpointRefused("http://h/v1 (m): status 401"), "refused"),
        (EndpointFailed("http://h/v1 (m): status 500"), "other"),
        (NoRoomError("no room"), "no_room"),
        (LlamaError("failed"), "other"),
    ],
)
def test_the_kind_of_an_error_outlives_the_way_between_processes(cause: Exception, kind: str) -> None:
    sent: Exception = pickle.loads(pickle.dumps(cause))
    found = _work_error(RayTaskError("judge", "traceback", sent))
    assert (found.kind, found.message) == (kind, f"{type(cause).__name__}: {cause}")
