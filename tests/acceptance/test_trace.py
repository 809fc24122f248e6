"""The trace page: the whole story of a call, in order, with the money."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest

from tests.support.live import Live, Tenant
from tests.support.streams import listen


@pytest.fixture
def tenant(live: Live) -> Tenant:
    """Somebody else."""
    return live.tenant()


def test_a_trace_needs_credentials(live: Live) -> None:
    trace_id = live.chat("fake-echo", "hi").headers["x-trace-id"]
    response = live.http.get(f"/api/traces/{trace_id}")
    assert (response.status_code, response.json()["code"]) == (401, "unauthorized")


def test_a_trace_of_another_tenant_is_not_found(live: Live, tenant: Tenant) -> None:
    trace_id = live.chat("fake-echo", "hi").headers["x-trace-id"]
    for credential in (tenant.api_key, tenant.token):
        response = live.call(f"/api/traces/{trace_id}", credential)
        assert (response.status_code, response.json()["code"]) == (404, "not_found")


def test_an_operator_sees_the_traces_of_every_tenant(live: Live, tenant: Tenant) -> None:
    trace_id = live.chat("fake-echo", "hi", tenant.api_key).headers["x-trace-id"]
    story = live.trace(trace_id, live.operator_token())
    assert story["organization_id"] == tenant.organization_id
    # The operator's API key is a key of one organisation like any other.
    assert live.call(f"/api/traces/{trace_id}").status_code == 404


@pytest.mark.parametrize("trace_id", ["0" * 32, "nonsense", "a%00b", "..%2f", "é", "x" * 5000])
def test_an_unknown_trace_is_not_found(live: Live, trace_id: str) -> None:
    response = live.call(f"/api/traces/{trace_id}")
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("stream", [False, True])
def test_the_story_has_identity_hold_attempt_capture_and_a_formula_that_adds_up(
    live: Live,
    stream: bool,
) -> None:
    if stream:
        trace_id = listen(live, "fake-echo", "one two three").headers["x-trace-id"]
    else:
        trace_id = live.chat("fake-echo", "one two three").headers["x-trace-id"]
    story = live.trace(trace_id)

    assert story["trace_id"] == trace_id
    assert story["state"] == "captured"
    assert story["stream"] is stream
    assert story["model"] == "fake-echo"
    assert (story["organization_id"], story["project_id"]) == (live.organization_id, live.project_id)
    assert story["identity"]["kind"] == "api_key"
    assert story["identity"]["api_key_name"] == "first key"
    assert story["error"] is None

    assert Decimal(story["cost"]) == Decimal("0.0000075")
    assert Decimal(story["hold"]["amount"]) >= Decimal(story["cost"])
    assert story["price"]["formula"] == "3 × 0.5/M + 3 × 2/M = 0.0000075"
    assert story["usage"]["by_class"] == {"input": 3, "output": 3}
    assert story["usage"]["source"] == "reported"
    assert [(entry["type"], entry["amount"]) for entry in story["transactions"]] == [
        ("hold", story["hold"]["amount"]),
        ("capture", story["cost"]),
    ]

    [attempt] = story["attempts"]
    assert (attempt["upstream_model"], attempt["status"], attempt["error"]) == ("fake-echo", 200, None)
    assert 0 <= attempt["first_byte_ms"] <= attempt["duration_ms"] <= story["duration_ms"]
    assert attempt["response_bytes"] > 0

    steps = [event["event"] for event in story["timeline"]]
    assert steps == [
        "auth.accepted",
        "policy.allowed",
        "billing.held",
        "upstream.answered",
        "billing.captured",
    ]
    offsets = [event["offset_ms"] for event in story["timeline"]]
    assert offsets == sorted(offsets)
    started, ended = datetime.fromisoformat(story["started_at"]), datetime.fromisoformat(story["ended_at"])
    assert started.tzinfo is not None
    assert started <= ended


def test_a_refused_call_has_a_trace_that_says_why_and_moved_nothing(live: Live) -> None:
    response = live.chat("fake-unpriced", "hi")
    assert response.status_code == 409
    story = live.trace(response.headers["x-trace-id"])
    assert story["state"] == "refused"
    assert story["error"]["code"] == "price_missing"
    assert story["timeline"][-1]["event"] == "budget_hold.refused"
    assert story["transactions"] == []
    assert (story["cost"], story["hold"], story["billing_ref_id"]) == (None, None, None)


def test_a_refusal_can_be_traced_whatever_the_model_is_called(live: Live) -> None:
    """Text from outside ends up in the journal: nothing in it may keep the journal from being written."""
    for model in ("模型", "'; DROP TABLE holds; --", "😀", "x" * 200):
        response = live.chat(model, "hi")
        assert response.status_code == 404
        assert live.trace(response.headers["x-trace-id"])["model"] == model


def test_calls_that_share_a_trace_id_are_told_together(live: Live) -> None:
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = {"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}
    body = {"model": "fake-echo", "messages": [{"role": "user", "content": "hi"}]}
    for _ in range(2):
        response = live.call("/v1/chat/completions", None, "POST", json=body, headers=headers)
        assert response.headers["x-trace-id"] == trace_id
    story = live.trace(trace_id)
    assert [call["state"] for call in story["calls"]] == ["captured", "captured"]
    assert len({call["billing_ref_id"] for call in story["calls"]}) == 2
    assert story["billing_ref_id"] == story["calls"][0]["billing_ref_id"]  # the newest first
