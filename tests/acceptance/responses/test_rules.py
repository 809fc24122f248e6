"""POST /v1/responses goes the request path that every call goes, and says what it cannot do."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

import pytest

from deepspace.testing.fake_anthropic import FakeAnthropic
from tests.support.live import Live, as_
from tests.support.streams import parse_events


def post(live: Live, key: str | None = None, **asked: Any) -> Any:
    """Make a request with the operator's key, unless told."""
    headers = asked.pop("headers", {})
    return live.call("/v1/responses", key, "POST", json={"model": "fake-echo", **asked}, headers=headers)


def test_who_may_ask(live: Live) -> None:
    asked = {"model": "fake-echo", "input": "hello"}
    nobody = live.http.post("/v1/responses", json=asked)
    assert (nobody.status_code, nobody.json()["error"]["code"]) == (401, "unauthorized")
    assert live.http.post("/v1/responses", json=asked, headers=as_("sk-wrong")).status_code == 401
    _, scoped = live.key(models=["fake-slow"])
    assert post(live, scoped, input="hello").status_code == 403
    assert post(live, live.tenant("0").api_key, input="hello").json()["error"]["code"] == "insufficient_funds"
    assert post(live, input="hello").status_code == 200
    assert live.call("/v1/responses").status_code == 405


@pytest.mark.parametrize(
    ("asked", "param", "code"),
    [
        ({}, "input", "invalid_request"),
        ({"input": []}, "input", "invalid_request"),
        ({"input": 5}, "input", "invalid_request"),
        ({"input": "hi", "model": ""}, "model", "invalid_request"),
        ({"input": "hi", "max_output_tokens": 0}, "max_output_tokens", "invalid_request"),
        ({"input": "hi", "tool_choice": "some"}, "tool_choice", "invalid_request"),
        ({"input": [{"role": "robot", "content": "hi"}]}, "input", "invalid_request"),
        ({"input": "hi", "previous_response_id": "resp_1"}, "previous_response_id", "state_not_kept"),
        ({"input": "hi", "conversation": {"id": "conv_1"}}, "conversation", "state_not_kept"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input", "state_not_kept"),
        ({"input": "hi", "background": True}, "background", "unsupported_feature"),
        ({"input": "hi", "prompt": {"id": "pmpt_1"}}, "prompt", "unsupported_feature"),
        ({"input": "hi", "truncation": "auto"}, "truncation", "unsupported_feature"),
        ({"input": "hi", "tools": [{"type": "web_search"}]}, "tools", "unsupported_feature"),
        ({"input": "hi", "tools": [{"type": "mcp", "server_label": "x"}]}, "tools", "unsupported_feature"),
        ({"input": "hi", "tool_choice": {"type": "file_search"}}, "tool_choice", "unsupported_feature"),
        ({"input": [{"type": "web_search_call", "id": "ws_1"}]}, "input", "unsupported_feature"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "file_1"}]}]},
            "input",
            "unsupported_feature",
        ),
    ],
)
def test_what_is_not_offered_is_refused_with_the_field_and_nothing_is_sent(
    live: Live, asked: dict[str, Any], param: str, code: str
) -> None:
    before, received = live.balance(), len(live.upstream.received)
    refused = post(live, **asked)
    error = refused.json()["error"]
    assert (refused.status_code, error["code"], error["param"]) == (400, code, param)
    assert (live.balance(), len(live.upstream.received)) == (before, received)


def test_what_asks_for_nothing_is_taken(live: Live) -> None:
    answer = post(
        live,
        input="hello",
        store=True,
        background=False,
        previous_response_id=None,
        conversation=None,
        truncation="disabled",
        include=["web_search_call.action.sources"],
        max_tool_calls=3,
        tools=[],
        tool_choice="auto",
        text={"format": {"type": "text"}},
        reasoning={},
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["store"] is False


def test_allowed_tools_are_the_only_ones_offered(live: Live) -> None:
    tools = [{"type": "function", "name": name, "parameters": {}} for name in ("one", "two")]
    allowed = {
        "type": "allowed_tools",
        "mode": "required",
        "tools": [{"type": "function", "name": "two"}],
    }
    assert post(live, input="only the second", tools=tools, tool_choice=allowed).status_code == 200
    (got,) = live.upstream.of_prompt("only the second")
    assert [tool["function"]["name"] for tool in got.body["tools"]] == ["two"]
    assert got.body["tool_choice"] == "required"


@pytest.mark.parametrize(
    ("model", "stream"),
    [
        ("fake-echo", False),
        ("fake-echo", True),
        ("claude-echo", False),
        ("claude-echo", True),
        ("fake-no-done", True),
    ],
)
def test_a_retry_under_the_same_reference_is_replayed_byte_for_byte_and_free(
    live: Live, claude: FakeAnthropic, model: str, stream: bool
) -> None:
    headers = {"idempotency-key": uuid.uuid4().hex}
    before = live.balance()
    first = post(live, model=model, input="say it once", stream=stream, headers=headers)
    spent = before - live.balance()
    again = post(live, model=model, input="say it once", stream=stream, headers=headers)
    assert again.content == first.content
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["content-type"] == first.headers["content-type"]
    assert before - live.balance() == spent > 0


def test_an_answer_of_tools_alone_and_usage_that_was_counted(live: Live) -> None:
    answer = post(live, model="fake-no-usage", input="one two three").json()
    assert answer["usage"]["estimated"] is True
    assert answer["usage"]["output_tokens"] > 0


def test_a_stream_says_when_it_ends_and_has_no_other_end(live: Live) -> None:
    events = parse_events(post(live, input="one two", stream=True).text)
    assert events[-1][0] == "response.completed"
    assert all(name for name, _ in events)
    assert "[DONE]" not in [data for _, data in events]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["fake-echo", "claude-echo"])
def test_guardrails_see_what_is_asked_and_what_is_answered(
    live: Live, claude: FakeAnthropic, model: str, stream: bool
) -> None:
    tenant = live.tenant()
    path = f"/api/organizations/{tenant.organization_id}/policies"
    for rule in (
        {"guard": "pii", "action": "mask", "on": ["input"]},
        {"guard": "words", "action": "mask", "words": ["forty two"], "on": ["output"]},
    ):
        made = live.call(path, tenant.token, "POST", json={"kind": "guardrail", **rule})
        assert made.status_code == 201, made.text
    time.sleep(1.05)  # until every process has seen them
    said = [{"role": "user", "content": "write forty two to ann.lee@lab.example.org now"}]
    answer = post(live, tenant.api_key, model=model, input=said, stream=stream)
    assert answer.status_code == 200, answer.text
    end = json.loads(parse_events(answer.text)[-1][1])["response"] if stream else answer.json()
    told = end["output"][0]["content"][0]["text"]
    assert "[mail]" in told
    assert "forty" not in told
    received = [entry.body for entry in (*live.upstream.received, *claude.received)]
    assert "ann.lee" not in json.dumps(received)


def test_the_hold_bounds_what_is_meant_however_it_is_spelled(live: Live) -> None:
    image = {"type": "input_image", "image_url": "https://example.org/a.png"}
    plain = json.dumps({"model": "fake-echo", "input": [{"role": "user", "content": [image]}]})
    spelled = plain.replace("input_image", "input\\u005fimage")
    amounts: list[str] = []
    for content in (plain, spelled):
        answer = live.call("/v1/responses", method="POST", content=content)
        assert answer.status_code == 200, answer.text
        amounts.append(live.trace(answer.headers["x-trace-id"])["hold"]["amount"])
    assert amounts[0] == amounts[1]
