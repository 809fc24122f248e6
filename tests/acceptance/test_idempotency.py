"""A retry under the same reference: the same answer, one charge."""

from __future__ import annotations

import threading
import uuid
from typing import Any

import pytest

from tests.support.live import Live, Tenant, as_
from tests.support.streams import eventually


@pytest.fixture
def tenant(live: Live) -> Tenant:
    """An organisation with one unit of money."""
    return live.tenant(balance="1")


def ask(live: Live, tenant: Tenant, ref: str, model: str = "fake-echo", **fields: Any) -> Any:
    """Make a call under a reference."""
    body = {"model": model, "messages": [{"role": "user", "content": f"say {ref}"}], **fields}
    name = fields.pop("header", "idempotency-key")
    body.pop("header", None)
    return live.call("/v1/chat/completions", tenant.api_key, "POST", json=body, headers={name: ref})


@pytest.mark.parametrize("header", ["idempotency-key", "x-billing-ref-id"])
@pytest.mark.parametrize(
    "fields",
    [{}, {"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}],
    ids=["json", "stream", "stream with usage"],
)
def test_a_retry_is_answered_byte_for_byte_and_charged_once(
    live: Live, tenant: Tenant, fields: dict[str, Any], header: str
) -> None:
    ref = uuid.uuid4().hex
    first = ask(live, tenant, ref, header=header, **fields)
    balance = live.balance(tenant.organization_id, tenant.token)
    second = ask(live, tenant, ref, header=header, **fields)
    assert first.status_code == second.status_code == 200
    assert second.content == first.content
    assert second.headers["content-type"] == first.headers["content-type"]
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    assert second.headers["x-billing-ref-id"] == first.headers["x-billing-ref-id"] == ref
    assert second.headers["x-trace-id"] != first.headers["x-trace-id"]
    assert live.balance(tenant.organization_id, tenant.token) == balance < 1
    assert len(live.upstream.of_prompt(ref)) == 1


def test_a_stream_that_broke_off_is_answered_again_as_it_broke_off(live: Live, tenant: Tenant) -> None:
    ref = uuid.uuid4().hex
    first = ask(live, tenant, ref, "fake-error-event", stream=True)
    second = ask(live, tenant, ref, "fake-error-event", stream=True)
    assert "event: error" in first.text
    assert second.content == first.content
    assert second.headers["idempotent-replayed"] == "true"
    assert len(live.upstream.of_prompt(ref)) == 1


def test_while_the_first_runs_the_second_is_told_so(live: Live, tenant: Tenant) -> None:
    ref = uuid.uuid4().hex
    answers: list[Any] = []
    first = threading.Thread(target=lambda: answers.append(ask(live, tenant, ref, "fake-hang")))
    first.start()
    eventually(lambda: live.upstream.of_prompt(ref))
    second = ask(live, tenant, ref, "fake-hang")
    assert (second.status_code, second.json()["error"]["code"]) == (409, "call_in_progress")
    first.join(20)
    assert answers[0].status_code == 504


def test_other_content_under_the_same_reference_is_refused(live: Live, tenant: Tenant) -> None:
    ref = uuid.uuid4().hex
    assert ask(live, tenant, ref).status_code == 200
    for change in ({"model": "fake-cached"}, {"temperature": 0.5}, {"stream": True}):
        answer = ask(live, tenant, ref, **change)
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "reference_reused"), change
    assert ask(live, tenant, ref).headers["idempotent-replayed"] == "true"
    assert len(live.upstream.of_prompt(ref)) == 1


def test_a_retry_after_a_call_that_was_given_back_is_a_new_call(live: Live, tenant: Tenant) -> None:
    ref = uuid.uuid4().hex
    for _ in range(2):
        failed = ask(live, tenant, ref, "fake-html")
        assert failed.status_code == 502
        assert "idempotent-replayed" not in failed.headers
    assert len(live.upstream.of_prompt(ref)) == 2
    answered = ask(live, tenant, ref)  # other content is fine too: nothing was charged under the reference
    assert answered.status_code == 200
    assert ask(live, tenant, ref).headers["idempotent-replayed"] == "true"


def test_a_refused_call_is_not_remembered(live: Live) -> None:
    poor, ref = live.tenant(balance="0"), uuid.uuid4().hex
    assert ask(live, poor, ref).status_code == 402
    path = f"/api/admin/wallets/{poor.organization_id}/topups"
    live.call(path, live.operator_token(), "POST", json={"amount": "1", "reason": "now it can pay"})
    answered = ask(live, poor, ref)
    assert (answered.status_code, answered.headers.get("idempotent-replayed")) == (200, None)


def test_the_references_of_two_organisations_do_not_meet(live: Live, tenant: Tenant) -> None:
    other, ref = live.tenant(balance="1"), uuid.uuid4().hex
    mine, theirs = ask(live, tenant, ref), ask(live, other, ref, temperature=1)
    assert mine.status_code == theirs.status_code == 200
    assert "idempotent-replayed" not in theirs.headers
    assert len(live.upstream.of_prompt(ref)) == 2


@pytest.mark.parametrize("ref", ["br_mine", "a b", "x" * 201, "ä".encode(), 'quote"', "semi;colon"])
def test_a_reference_that_cannot_be_one_is_refused(live: Live, tenant: Tenant, ref: Any) -> None:
    before = len(live.upstream.received)
    body = {"model": "fake-echo", "messages": [{"role": "user", "content": "hi"}]}
    headers = {**as_(tenant.api_key), "idempotency-key": ref}
    answer = live.http.post("/v1/chat/completions", json=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request"), answer.text
    assert answer.json()["error"]["param"] == "idempotency-key"
    assert len(live.upstream.received) == before


def test_a_call_without_a_reference_is_a_new_call_each_time(live: Live, tenant: Tenant) -> None:
    text = uuid.uuid4().hex
    refs = {live.chat("fake-echo", text, tenant.api_key).headers["x-billing-ref-id"] for _ in range(2)}
    assert len(refs) == len(live.upstream.of_prompt(text)) == 2
