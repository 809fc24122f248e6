"""Guardrails through HTTP: switched on by an organisation for itself, over requests, answers and streams."""

from __future__ import annotations

import json
import time
import uuid
from decimal import Decimal
from typing import Any

import pytest

from tests.support.live import Live, Tenant

SEEN_S = 1.05
MAIL, CARD = "ann.lee@lab.example.org", "4111 1111 1111 1111"


@pytest.fixture
def tenant(live: Live) -> Tenant:
    """An organisation of a test's own."""
    return live.tenant()


def guard(live: Live, tenant: Tenant, **body: Any) -> dict[str, Any]:
    """Switch a guardrail on, and wait until every process has seen it."""
    path = f"/api/organizations/{tenant.organization_id}/policies"
    answer = live.call(path, tenant.token, "POST", json={"kind": "guardrail", **body})
    assert answer.status_code == 201, answer.text
    time.sleep(SEEN_S)
    return answer.json()


def told(answer: Any) -> str:
    """Return the text of a stream."""
    assert answer.text.rstrip().endswith("data: [DONE]"), answer.text
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]
    return "".join(
        choice["delta"].get("content") or "" for event in events for choice in event.get("choices", [])
    )


def verdicts(live: Live, tenant: Tenant, answer: Any) -> list[dict[str, Any]]:
    """Return what the trace says of guardrails, and that it has none of the text."""
    story = live.trace(answer.headers["x-trace-id"], tenant.api_key)
    for secret in (MAIL, CARD, "ann.lee", "4111 1111", "41111111"):
        assert secret not in json.dumps(story)
    return [event for event in story["timeline"] if event["step"] == "guardrails"]


def test_who_may_not_write_policies_switches_nothing_on(live: Live, tenant: Tenant) -> None:
    path = f"/api/organizations/{tenant.organization_id}/policies"
    body = {"kind": "guardrail", "guard": "pii", "action": "mask"}
    assert live.http.post(path, json=body).status_code == 401
    assert live.call(path, tenant.api_key, "POST", json=body).status_code == 403
    assert live.call(path, live.tenant().token, "POST", json=body).status_code == 404
    for wrong in ({"guard": "other"}, {"guard": "words"}, {"guard": "pii", "detect": ["shoe size"]}):
        answer = live.call(path, tenant.token, "POST", json={**body, **wrong})
        assert answer.status_code == 422, answer.text
    dry = live.call(f"{path}/dry-run", tenant.token, "POST", json=body)
    assert dry.status_code == 422


def test_what_is_masked_in_a_request_never_reaches_the_provider(live: Live, tenant: Tenant) -> None:
    rule = guard(live, tenant, guard="pii", action="mask", on=["input"])
    assert (rule["kind"], rule["condition"]["guard"]) == ("guardrail", "pii")
    mark = uuid.uuid4().hex
    answer = live.chat("fake-echo", f"{mark} write to {MAIL} now", tenant.api_key)
    assert answer.status_code == 200
    assert f"{mark} write to [mail] now" in answer.text
    assert all(MAIL not in json.dumps(entry.body) for entry in live.upstream.received)
    [seen] = verdicts(live, tenant, answer)
    assert seen["event"] == "guardrail.masked"
    assert seen["detail"] == {"policy_id": rule["id"], "guard": "pii", "side": "input", "found": {"email": 1}}


def test_a_request_that_is_blocked_reaches_nobody_and_costs_nothing(live: Live, tenant: Tenant) -> None:
    guard(live, tenant, guard="words", action="block", words=["Project X", "机密"])
    before = live.balance(tenant.organization_id, tenant.api_key)
    for text in ("tell me of project x please", "这是机密吗"):
        answer = live.chat("fake-echo", text, tenant.api_key)
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "guardrail_blocked"
        assert live.upstream.of_prompt(text) == []
        [seen] = [event for event in verdicts(live, tenant, answer) if event["event"] == "guardrail.blocked"]
        assert seen["detail"]["found"] == {"word": 1}
    body = {"model": "fake-echo", "max_tokens": 9, "messages": [{"role": "user", "content": "Project X"}]}
    refused = live.call("/v1/messages", tenant.api_key, "POST", json=body)
    assert refused.status_code == 400
    assert refused.json()["type"] == "error"
    assert live.balance(tenant.organization_id, tenant.api_key) == before
    assert live.chat("fake-echo", "project xyz", tenant.api_key).status_code == 200


@pytest.mark.parametrize("stream", [False, True])
def test_what_is_masked_in_an_answer_is_seen_across_the_borders_of_chunks(
    live: Live, tenant: Tenant, stream: bool
) -> None:
    guard(live, tenant, guard="pii", action="mask", on=["output"])
    # The fake sends a word a chunk: the card comes in four.
    answer = live.chat("fake-echo", f"pay with {CARD} or ask {MAIL} soon", tenant.api_key, stream=stream)
    assert answer.status_code == 200
    text = told(answer) if stream else answer.json()["choices"][0]["message"]["content"]
    assert text.strip() == "pay with [credit card] or ask [mail] soon"
    found: dict[str, int] = {}
    for event in verdicts(live, tenant, answer):
        assert (event["event"], event["detail"]["side"]) == ("guardrail.masked", "output")
        found |= event["detail"]["found"]
    assert found == {"credit_card": 1, "email": 1}


def test_a_stream_in_the_anthropic_dialect_is_masked_too(live: Live, tenant: Tenant) -> None:
    guard(live, tenant, guard="pii", action="mask", on=["output"])
    body = {
        "model": "fake-echo",
        "max_tokens": 50,
        "stream": True,
        "messages": [{"role": "user", "content": f"card {CARD} end"}],
    }
    answer = live.call("/v1/messages", tenant.api_key, "POST", json=body)
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]
    text = "".join(
        event["delta"].get("text", "") for event in events if event["type"] == "content_block_delta"
    )
    assert text.strip() == "card [credit card] end"
    assert events[-1]["type"] == "message_stop"


def test_a_stream_that_is_blocked_ends_with_an_error_and_charges_what_was_delivered(
    live: Live, tenant: Tenant
) -> None:
    guard(live, tenant, guard="words", action="block", words=["forbidden"], on=["output"])
    before = live.balance(tenant.organization_id, tenant.api_key)
    answer = live.chat("fake-slow", "one two three forbidden four five", tenant.api_key, stream=True)
    assert answer.status_code == 200
    assert "three" in answer.text
    assert "forbidden" not in answer.text
    assert "four" not in answer.text
    assert "guardrail_blocked" in answer.text
    assert "[DONE]" not in answer.text
    story = live.trace(answer.headers["x-trace-id"], tenant.api_key)
    assert story["usage"]["source"] == "estimated"
    cost = before - live.balance(tenant.organization_id, tenant.api_key)
    assert Decimal(0) < cost < Decimal(story["hold"]["amount"])
    assert story["attempts"][0]["error"] is None


def test_a_whole_answer_that_is_blocked_is_not_shown_and_what_the_provider_used_is_charged(
    live: Live, tenant: Tenant
) -> None:
    guard(live, tenant, guard="words", action="block", words=["forbidden"], on=["output"])
    answer = live.chat("fake-echo", "one forbidden two", tenant.api_key)
    assert answer.status_code == 400
    assert "forbidden" not in answer.text
    story = live.trace(answer.headers["x-trace-id"], tenant.api_key)
    assert story["usage"]["source"] == "reported"


def test_what_is_only_watched_changes_no_byte(live: Live, tenant: Tenant) -> None:
    text = f"ask {MAIL} soon"
    plain = live.chat("fake-echo", text, tenant.api_key, stream=True)
    guard(live, tenant, guard="pii", action="block", mode="dry_run")
    watched = live.chat("fake-echo", text, tenant.api_key, stream=True)
    assert told(watched) == told(plain)
    assert {event["event"] for event in verdicts(live, tenant, watched)} == {"guardrail.noted"}


def test_the_arguments_of_tools_stay_json_under_a_mask(live: Live, tenant: Tenant) -> None:
    guard(live, tenant, guard="words", action="mask", words=["zürich", "上海"], on=["output"])
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    for stream in (False, True):
        answer = live.chat("fake-tools", "weather?", tenant.api_key, tools=[tool], stream=stream)
        assert answer.status_code == 200
        arguments: dict[int, str] = {}
        if stream:
            lines = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]
            choices: list[Any] = [choice for line in lines for choice in line.get("choices", [])]
            for choice in choices:
                for call in choice["delta"].get("tool_calls") or []:
                    made = arguments.get(call["index"], "") + call["function"].get("arguments", "")
                    arguments[call["index"]] = made
        else:
            calls = answer.json()["choices"][0]["message"]["tool_calls"]
            arguments = {n: call["function"]["arguments"] for n, call in enumerate(calls)}
        assert [json.loads(text)["city"] for _, text in sorted(arguments.items())] == ["111111", "11"]


def test_operators_guard_everybody(live: Live, tenant: Tenant) -> None:
    word = uuid.uuid4().hex
    body = {"kind": "guardrail", "guard": "words", "action": "mask", "words": [word]}
    operator = live.operator_token()
    made = live.call("/api/admin/policies", operator, "POST", json=body)
    assert made.status_code == 201, made.text
    try:
        time.sleep(SEEN_S)
        answer = live.chat("fake-echo", f"say {word}", tenant.api_key)
        assert word not in answer.text
    finally:
        live.call(f"/api/admin/policies/{made.json()['id']}", operator, "DELETE")
