"""POST /v1/messages goes the request path that every call goes: who may, what it costs, what is kept."""

from __future__ import annotations

import json
import uuid
from decimal import Decimal
from typing import Any

import pytest

from deepspace.testing.fake_anthropic import FakeAnthropic
from tests.support.live import Live, as_
from tests.support.streams import parse_events

PATHS = pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])


def body(text: str, model: str = "claude-echo", **fields: Any) -> dict[str, Any]:
    """Return the body of a request."""
    asked = {"model": model, "max_tokens": 50, "messages": [{"role": "user", "content": text}]}
    return {**asked, **fields}


def post(live: Live, asked: Any, path: str = "/v1/messages", **headers: str) -> Any:
    """Make a request with the operator's key as Anthropic's clients send it."""
    sent = {"x-api-key": live.api_key, **{name.replace("_", "-"): text for name, text in headers.items()}}
    return live.http.post(path, json=asked, headers=sent)


@PATHS
def test_who_may_ask(live: Live, claude: FakeAnthropic, path: str) -> None:
    asked = body("hello")
    if path.endswith("count_tokens"):
        asked.pop("max_tokens")
    nobody = live.http.post(path, json=asked)
    assert (nobody.status_code, nobody.json()["error"]["type"]) == (401, "authentication_error")
    assert nobody.json()["request_id"] == nobody.headers["x-trace-id"]
    assert live.http.post(path, json=asked, headers={"x-api-key": "sk-ant-wrong"}).status_code == 401
    _, scoped = live.key(models=["fake-echo"])
    refused = live.http.post(path, json=asked, headers={"x-api-key": scoped})
    assert (refused.status_code, refused.json()["error"]["type"]) == (403, "permission_error")
    for headers in ({"x-api-key": live.api_key}, as_(live.api_key)):
        assert live.http.post(path, json=asked, headers=headers).status_code == 200


@PATHS
@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": 5}, "messages"),
        ({"messages": [{"role": "user"}]}, None),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"model": ""}, "model"),
    ],
)
def test_a_request_that_is_none_is_refused(
    live: Live, claude: FakeAnthropic, path: str, wrong: Any, param: str | None
) -> None:
    refused = post(live, {**body("hello"), **wrong}, path)
    error = refused.json()["error"]
    assert (refused.status_code, error["type"]) == (400, "invalid_request_error")
    assert error["code"] == "invalid_request"
    assert param is None or error["param"] == param


def test_without_an_output_limit_or_with_no_json_it_is_refused(live: Live, claude: FakeAnthropic) -> None:
    asked = body("hello")
    asked.pop("max_tokens")
    assert post(live, asked).json()["error"]["param"] == "max_tokens"
    headers = {"x-api-key": live.api_key}
    broken = live.http.post("/v1/messages", content=b'{"model": ', headers=headers)
    assert (broken.status_code, broken.json()["error"]["code"]) == (400, "invalid_json")
    assert live.http.get("/v1/messages", headers=headers).status_code == 405


def test_an_empty_wallet_is_a_billing_error(live: Live, claude: FakeAnthropic) -> None:
    poor = live.tenant("0")
    refused = live.http.post("/v1/messages", json=body("hello"), headers={"x-api-key": poor.api_key})
    assert (refused.status_code, refused.json()["error"]["type"]) == (402, "billing_error")
    assert refused.json()["error"]["code"] == "insufficient_funds"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["claude-echo", "fake-echo"])
def test_a_retry_under_the_same_reference_is_replayed_byte_for_byte_and_free(
    live: Live, claude: FakeAnthropic, model: str, stream: bool
) -> None:
    asked, reference = body("say it once", model, stream=stream), uuid.uuid4().hex
    before = live.balance()
    first = post(live, asked, idempotency_key=reference)
    spent = before - live.balance()
    again = post(live, asked, idempotency_key=reference)
    assert again.content == first.content
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["content-type"] == first.headers["content-type"]
    assert before - live.balance() == spent > 0


def test_a_stranger_does_not_see_the_trace(live: Live, claude: FakeAnthropic) -> None:
    answer = post(live, body("mine"))
    stranger = live.tenant()
    trace = live.call(f"/api/traces/{answer.headers['x-trace-id']}", stranger.api_key)
    assert trace.status_code == 404


def test_an_operator_tests_the_channel_and_lists_its_models(live: Live, claude: FakeAnthropic) -> None:
    made = live.channel(
        {"model": f"t-{uuid.uuid4().hex[:6]}", "upstream_model": "claude-echo"},
        kind="anthropic",
        base_url=claude.base_url,
        api_key=claude.api_key,
        price=False,
    )
    token = live.operator_token()
    tried = live.call(f"/api/admin/channels/{made['id']}/test", token, "POST")
    assert (tried.status_code, tried.json()["ok"]) == (200, True)
    path = f"/api/admin/channels/{made['id']}/import-models"
    listed = live.call(path, token, "POST", json={"dry_run": True})
    assert "claude-thinking" in listed.json()["listed"], listed.text


def test_a_channel_of_each_dialect_can_stand_in_for_the_other(live: Live, claude: FakeAnthropic) -> None:
    model = f"both-{uuid.uuid4().hex[:6]}"
    live.channel({"model": model, "upstream_model": "fake-500"}, priority=9)
    live.channel(
        {"model": model, "upstream_model": "claude-echo"},
        kind="anthropic",
        base_url=claude.base_url,
        api_key=claude.api_key,
    )
    before = live.balance()
    heard = post(live, body("from the other one", model, stream=True))
    events = parse_events(heard.text)
    assert [name for name, _ in events][-2:] == ["message_delta", "message_stop"]
    cost = json.loads(events[-2][1])["usage"]["cost"]
    assert before - live.balance() == Decimal(cost)
    attempts = live.trace(heard.headers["x-trace-id"])["attempts"]
    assert [attempt["status"] for attempt in attempts] == [500, 200]
