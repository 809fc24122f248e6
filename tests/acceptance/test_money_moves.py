"""Top-up, adjustment, refund, credit limit, freeze and redeem codes: who may, once, and never too much."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.support.live import Live, Tenant


@pytest.fixture
def operator(live: Live) -> str:
    """An operator's access token."""
    return live.operator_token()


@pytest.fixture
def tenant(live: Live) -> Tenant:
    """An organisation with one unit of money."""
    return live.tenant(balance="1")


def admin_requests(org: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Return every operator's request about money that a test here makes."""
    return [
        ("POST", f"/api/admin/wallets/{org}/topups", {"amount": "1", "reason": "r"}),
        ("POST", f"/api/admin/wallets/{org}/adjustments", {"amount": "1", "reason": "r"}),
        ("PATCH", f"/api/admin/wallets/{org}", {"credit_limit": "5"}),
        ("POST", "/api/admin/transactions/br_x/refund", {"reason": "r"}),
        ("POST", "/api/admin/redeem-codes", {"amount": "1"}),
    ]


@pytest.mark.parametrize("index", range(5))
def test_nobody_but_an_operator_moves_money(live: Live, tenant: Tenant, index: int) -> None:
    method, path, body = admin_requests(tenant.organization_id)[index]
    assert live.http.request(method, path, json=body).status_code == 401
    assert live.call(path, tenant.token, method, json=body).status_code == 403  # its owner
    assert live.call(path, tenant.api_key, method, json=body).status_code == 403
    wallet = live.wallet(tenant.organization_id, tenant.token)
    assert (wallet["balance"], wallet["credit_limit"]) == ("1", "0")


def move(live: Live, token: str, org: str, kind: str, amount: str, key: str | None = None) -> Any:
    """Ask for a top-up or an adjustment."""
    headers = {"idempotency-key": key} if key else {}
    body = {"amount": amount, "reason": "test"}
    return live.call(f"/api/admin/wallets/{org}/{kind}", token, "POST", json=body, headers=headers)


@pytest.mark.parametrize("kind", ["topups", "adjustments"])
def test_a_move_with_a_key_happens_once_however_often_it_is_asked_for(
    live: Live, operator: str, tenant: Tenant, kind: str
) -> None:
    key = uuid.uuid4().hex
    answers = [move(live, operator, tenant.organization_id, kind, "0.5", key) for _ in range(3)]
    assert [(answer.status_code, answer.json()["balance"]) for answer in answers] == [(201, "1.5")] * 3
    assert move(live, operator, tenant.organization_id, kind, "0.5").json()["balance"] == "2"


@pytest.mark.parametrize("kind", ["topups", "adjustments"])
def test_a_key_that_was_used_for_anything_else_is_refused(
    live: Live, operator: str, tenant: Tenant, kind: str
) -> None:
    key, other = uuid.uuid4().hex, live.tenant(balance="1")
    assert move(live, operator, tenant.organization_id, kind, "0.5", key).status_code == 201
    tries = [(tenant, "0.6"), (other, "0.5")] + ([(tenant, "-0.5")] if kind == "adjustments" else [])
    for whose, amount in tries:
        answer = move(live, operator, whose.organization_id, kind, amount, key)
        assert (answer.status_code, answer.json()["code"]) == (422, "reference_reused")
    assert live.wallet(tenant.organization_id, tenant.token)["balance"] == "1.5"
    assert live.wallet(other.organization_id, other.token)["balance"] == "1"


def test_an_adjustment_takes_away_what_is_available_and_not_a_nano_more(
    live: Live, operator: str, tenant: Tenant
) -> None:
    org = tenant.organization_id
    refused = move(live, operator, org, "adjustments", "-1.000000001")
    assert (refused.status_code, refused.json()["code"]) == (402, "insufficient_funds")
    assert move(live, operator, org, "adjustments", "0").status_code == 422
    assert move(live, operator, org, "adjustments", "-1").json()["balance"] == "0"
    [entry, *_] = live.call(f"/api/organizations/{org}/transactions", tenant.token).json()["items"]
    assert (entry["type"], entry["amount"], entry["reason"]) == ("adjust", "1", "test")


def test_a_credit_limit_lets_a_wallet_go_below_zero_to_exactly_there(
    live: Live, operator: str, tenant: Tenant
) -> None:
    org, path = tenant.organization_id, f"/api/admin/wallets/{tenant.organization_id}"
    changed = live.call(path, operator, "PATCH", json={"credit_limit": "2"})
    assert (changed.status_code, changed.json()["available"]) == (200, "3")
    assert move(live, operator, org, "adjustments", "-3").json()["balance"] == "-2"
    assert live.chat("fake-echo", "hi", tenant.api_key).status_code == 402
    for limit in ("1.999999999", "-1"):
        refused = live.call(path, operator, "PATCH", json={"credit_limit": limit})
        assert (refused.status_code, refused.json()["code"]) == (409, "wallet_below_limit")
    assert live.call(path, operator, "PATCH", json={"credit_limit": "2.1"}).json()["available"] == "0.1"
    assert live.chat("fake-echo", "hi", tenant.api_key).status_code == 200


def test_a_frozen_wallet_admits_no_call_until_it_is_thawed(live: Live, operator: str, tenant: Tenant) -> None:
    path = f"/api/admin/wallets/{tenant.organization_id}"
    assert live.call(path, operator, "PATCH", json={"state": "frozen"}).json()["state"] == "frozen"
    refused = live.chat("fake-echo", "hi", tenant.api_key)
    assert (refused.status_code, refused.json()["error"]["code"]) == (402, "wallet_frozen")
    assert move(live, operator, tenant.organization_id, "topups", "1").json()["balance"] == "2"
    assert live.call(path, operator, "PATCH", json={"state": "active"}).json()["state"] == "active"
    assert live.chat("fake-echo", "hi", tenant.api_key).status_code == 200
    assert live.call(path, operator, "PATCH", json={"state": "closed"}).status_code == 422
    nobody = f"/api/admin/wallets/{uuid.uuid4()}"
    assert live.call(nobody, operator, "PATCH", json={"state": "frozen"}).status_code == 404


def refund(live: Live, token: str, ref: str, key: str | None = None, **body: Any) -> Any:
    """Ask for a refund."""
    headers = {"idempotency-key": key} if key else {}
    path = f"/api/admin/transactions/{ref}/refund"
    return live.call(path, token, "POST", json={"reason": "test", **body}, headers=headers)


def test_a_refund_gives_back_at_most_what_the_call_cost(live: Live, operator: str, tenant: Tenant) -> None:
    answer = live.chat("fake-echo", "a b c d", tenant.api_key)
    ref, cost = answer.headers["x-billing-ref-id"], Decimal(answer.json()["usage"]["cost"])
    for amount in ("0.000010001", "0", "-0.000001"):
        refused = refund(live, operator, ref, amount=amount)
        assert (refused.status_code, refused.json()["code"]) == (409, "refund_too_large"), amount
    part = refund(live, operator, ref, amount="0.000004")
    assert Decimal(part.json()["balance"]) == 1 - cost + Decimal("0.000004")
    rest = refund(live, operator, ref)
    assert (rest.status_code, rest.json()["balance"]) == (201, "1")
    assert refund(live, operator, ref).json()["code"] == "refund_too_large"
    story = live.trace(answer.headers["x-trace-id"], tenant.api_key)
    moved = [(entry["type"], entry["amount"]) for entry in story["transactions"]]
    assert moved[1:] == [("capture", "0.00001"), ("refund", "0.000004"), ("refund", "0.000006")]


def test_a_refund_with_a_key_happens_once_and_the_key_is_that_calls_alone(
    live: Live, operator: str, tenant: Tenant
) -> None:
    key = uuid.uuid4().hex
    first, second = (live.chat("fake-echo", "a b c d", tenant.api_key) for _ in range(2))
    ref = first.headers["x-billing-ref-id"]
    answers = [refund(live, operator, ref, key) for _ in range(3)]
    assert [(answer.status_code, answer.json()["balance"]) for answer in answers] == [(201, "0.99999")] * 3
    other = refund(live, operator, second.headers["x-billing-ref-id"], key)
    assert (other.status_code, other.json()["code"]) == (422, "reference_reused")
    assert refund(live, operator, ref, key, amount="0.000001").json()["code"] == "reference_reused"


def test_a_call_that_was_not_charged_cannot_be_refunded(live: Live, operator: str, tenant: Tenant) -> None:
    released = live.chat("fake-500", "hi", tenant.api_key)
    assert refund(live, operator, "br_nothing").status_code == 404
    assert refund(live, operator, released.headers.get("x-billing-ref-id", "br_none")).status_code == 404


def test_a_reference_of_two_organisations_is_refunded_only_by_name(
    live: Live, operator: str, tenant: Tenant
) -> None:
    other, ref = live.tenant(balance="1"), uuid.uuid4().hex
    for whose in (tenant, other):
        body = {"model": "fake-echo", "messages": [{"role": "user", "content": "a b"}]}
        headers = {"idempotency-key": ref}
        live.call("/v1/chat/completions", whose.api_key, "POST", json=body, headers=headers)
    assert refund(live, operator, ref).status_code == 409
    named = refund(live, operator, ref, organization_id=other.organization_id)
    assert (named.status_code, named.json()["balance"]) == (201, "1")
    assert live.wallet(tenant.organization_id, tenant.token)["balance"] != "1"


def codes(live: Live, operator: str, **fields: Any) -> list[str]:
    """Have redeem codes made."""
    answer = live.call("/api/admin/redeem-codes", operator, "POST", json={"amount": "2.5", **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()["codes"]


def test_a_code_is_redeemed_once_by_whoever_may_manage_money(
    live: Live, operator: str, tenant: Tenant
) -> None:
    one, two = codes(live, operator, count=2, note="workshop")
    path = f"/api/organizations/{tenant.organization_id}/redeem"
    stranger = live.tenant(balance="0")
    assert live.http.post(path, json={"code": one}).status_code == 401
    assert live.call(path, stranger.token, "POST", json={"code": one}).status_code in {403, 404}
    first = live.call(path, tenant.token, "POST", json={"code": one})
    assert (first.status_code, first.json()["balance"]) == (200, "3.5")
    again = live.call(path, tenant.token, "POST", json={"code": one})
    assert (again.status_code, again.json()["code"]) == (404, "redeem_code_invalid")
    sloppy = two.lower().replace("-", " ")
    assert live.call(path, tenant.token, "POST", json={"code": sloppy}).json()["balance"] == "6"


def test_an_unknown_or_expired_code_gives_nothing(live: Live, operator: str, tenant: Tenant) -> None:
    past = (datetime.now(UTC) - timedelta(seconds=5)).isoformat()
    [old] = codes(live, operator, expires_at=past)
    path = f"/api/organizations/{tenant.organization_id}/redeem"
    for code in (old, "AAAAA-AAAAA-AAAAA-AAAAA", "no such code at all"):
        answer = live.call(path, tenant.token, "POST", json={"code": code})
        assert (answer.status_code, answer.json()["code"]) == (404, "redeem_code_invalid"), code
    assert live.wallet(tenant.organization_id, tenant.token)["balance"] == "1"
    for wrong in ({"amount": "0"}, {"amount": "1", "count": 0}, {"amount": "1", "count": 1001}):
        assert live.call("/api/admin/redeem-codes", operator, "POST", json=wrong).status_code == 422
