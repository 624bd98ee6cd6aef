"""The judges of a configuration: their addresses, the models of a server, and what is refused before the start."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from actors.evaluation.benchmarks import find_benchmarks
from actors.judging.orders import JudgeModel
from actors.orchestrator.planning.published import settings_of
from actors.orchestrator.sources.inputs import SourceModel
from actors.orchestrator.sources.judges import FoundJudge, find_judges, judge_notices
from actors.orders import Endpoint
from conf.faults import BadInput
from conf.schema.judging import Judge
from tests.orchestrator.small_plan import MODEL, make_config

AWAY = "http://127.0.0.1:9/v1"
ELYZA = find_benchmarks(["elyza"])


@contextlib.contextmanager
def models_at(*names: str, status: int = 200) -> Iterator[tuple[str, list[str | None]]]:
    """Serve a list of models. Yield the base address, and the keys that requests had."""
    keys: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            keys.append(self.headers["Authorization"])
            body = json.dumps({"data": [{"id": name} for name in names]}).encode()
            self.send_response(status if self.path == "/v1/models" else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", keys
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def find(*judges: dict[str, Any], **judging: Any) -> tuple[FoundJudge, ...]:
    return find_judges(make_config(judging={"judges": list(judges), **judging}), ELYZA)


def refused(*judges: dict[str, Any], **judging: Any) -> str:
    with pytest.raises(BadInput) as raised:
        find(*judges, **judging)
    return str(raised.value)


def test_a_server_with_one_model_needs_no_name_and_gets_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUDGE_API_KEY", "sk-judge")
    with models_at("big") as (url, keys):
        (found,) = find({"name": "j", "url": url})
    assert found.endpoint is not None and found.endpoint.model == "big" and found.notice is None
    assert keys == ["Bearer sk-judge"]


def test_of_several_models_one_has_to_be_named() -> None:
    with models_at("big", "small") as (url, _):
        assert "big, small" in refused({"name": "j", "url": url})


def test_a_model_that_the_server_does_not_list_is_a_notice() -> None:
    with models_at("qwen-32b", "x" * 5000, *(f"other-{number}" for number in range(30))) as (url, _):
        (listed,) = find({"name": "j", "url": url, "model": "qwen-32b"})
        (found,) = find({"name": "j", "url": url, "model": "qwen-23b"})
    assert listed.notice is None
    assert found.notice is not None and "lists no model qwen-23b" in found.notice
    assert "It lists qwen-32b, " in found.notice and len(found.notice) < 1000
    with models_at() as (url, _):  # not every server has a list
        (found,) = find({"name": "j", "url": url, "model": "m"})
    assert found.notice is None


def test_a_judge_that_is_away_is_a_notice_and_without_a_name_a_fault() -> None:
    (found,) = find({"name": "j", "url": AWAY, "model": "m"})
    assert found.notice is not None and "does not answer" in found.notice
    assert "--judge-model" in refused({"name": "j", "url": AWAY})
    with models_at(status=401) as (url, _):
        (found,) = find({"name": "j", "url": url, "model": "m"})
    assert found.notice is not None and "JUDGE_API_KEY" in found.notice


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://user:secret@h/v1", "JUDGE_API_KEY"),
        ("http://h/v1?key=secret", "JUDGE_API_KEY"),
        ("ftp://h/v1", "http://HOST:PORT/v1"),
        ("http://h/v1#model", "--judge-model model"),
        ("http://h:port/v1", "http://HOST:PORT/v1"),
    ],
)
def test_a_bad_address_is_refused_and_its_secret_not_repeated(url: str, said: str) -> None:
    told = refused({"name": "j", "url": url, "model": "m"})
    assert said in told and "secret" not in told


def test_equal_names_equal_models_and_unknown_rubrics_are_told_at_once() -> None:
    told = refused(
        {"name": "j", "url": AWAY, "model": "m"},
        {"name": "J", "url": f"{AWAY}/", "model": "m"},
        rubrics={"elyza": "elyza_2022", "gsm8k": "elyza_2023"},
    )
    assert "judging.rubrics.elyza" in told and "elyza_2023" in told
    assert "a different model for each judge" in told and "differ in more than case" in told


def test_judges_are_not_looked_for_if_nothing_is_judged() -> None:
    config = make_config(judging={"judges": [{"name": "j", "url": AWAY}]})
    assert find_judges(config, find_benchmarks(["gsm8k"])) == ()


def test_a_judge_of_the_family_of_a_model_is_noted() -> None:
    judges = [JudgeModel("j", Endpoint("http://h/v1", "org/Qwen3-235B", 1, 1.0, 1))]
    found = [FoundJudge(Judge(name="j", model="org/Qwen3-235B", url="http://h/v1"), judges[0].endpoint, None)]
    qwen = SourceModel(**{**vars(MODEL), "name": "Qwen3-8B"})
    (notice,) = judge_notices(found, judges, [qwen, MODEL])
    assert "same family (qwen) as Qwen3-8B" in notice
    assert judge_notices(found, judges, [MODEL]) == ()


def test_published_settings_hold_no_secret_of_an_address() -> None:
    judges = [{"name": "j", "url": "http://u:secret@h:1/v1?key=secret", "model": "m"}]
    published = settings_of(make_config(judging={"judges": judges}))["judging"]
    assert published["judges"][0]["url"] == "http://h:1/v1"  # type: ignore[index]
    assert "secret" not in str(published)
