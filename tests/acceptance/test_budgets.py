"""Budgets: every scope and period, to the last nano; what was spent before counts; removal frees."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

import pytest

from tests.support.live import Live, Tenant
from tests.support.people import Lab
from tests.support.streams import eventually

COST = Decimal("0.00001")
"""Of "a b c d" at fake-echo: four tokens in, four out."""


@pytest.fixture
def tenant(live: Live) -> Tenant:
    """An organisation with one unit of money."""
    return live.tenant(balance="1")


def path_of(tenant: Tenant) -> str:
    """Where a tenant's budgets are."""
    return f"/api/organizations/{tenant.organization_id}/budgets"


def put(live: Live, tenant: Tenant, scope: str, limit: str, period: str = "day", **fields: Any) -> Any:
    """Set a budget."""
    body = {"scope": scope, "period": period, "limit": limit, **fields}
    answer = live.call(path_of(tenant), tenant.token, "POST", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def ask(live: Live, tenant: Tenant, key: str | None = None, max_tokens: int = 10) -> Any:
    """Make the call that costs COST."""
    return live.chat("fake-echo", "a b c d", key or tenant.api_key, max_tokens=max_tokens)


def hold_of(live: Live, tenant: Tenant) -> Decimal:
    """Return what that call holds."""
    answer = ask(live, tenant)
    return Decimal(live.trace(answer.headers["x-trace-id"], tenant.api_key)["hold"]["amount"])


def refused(answer: Any) -> bool:
    """Whether a call was refused because of a budget."""
    return answer.status_code == 402 and answer.json()["error"]["code"] == "budget_exceeded"


def test_a_budget_is_set_and_seen_by_those_who_may(live: Live, tenant: Tenant) -> None:
    path, body = path_of(tenant), {"scope": "organization", "period": "day", "limit": "1"}
    stranger = live.tenant(balance="0")
    for method, extra in (("GET", {}), ("POST", {"json": body})):
        assert live.http.request(method, path, **extra).status_code == 401
        assert live.call(path, stranger.token, method, **extra).status_code in {403, 404}
    made = live.call(path, tenant.token, "POST", json=body)
    assert made.status_code == 201
    view = made.json()
    assert view["scope_id"] == tenant.organization_id
    assert (view["limit"], view["spent"], view["held"], view["remaining"]) == ("1", "0", "0", "1")
    assert live.call(path, tenant.token).json()["items"] == [view]
    one = f"{path}/{view['id']}"
    assert live.http.delete(one).status_code == 401
    assert live.call(one, stranger.token, "DELETE").status_code in {403, 404}
    mine = f"{path_of(stranger)}/{view['id']}"
    assert live.call(mine, stranger.token, "DELETE").status_code == 404
    assert live.call(path, tenant.token).json()["items"] == [view]
    assert live.call(one, tenant.token, "DELETE").status_code == 204
    assert live.call(one, tenant.token, "DELETE").status_code == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"limit": "-1"},
        {"limit": "1.0000000001"},
        {"limit": 1.5},
        {"period": "week"},
        {"scope": "planet"},
        {"scope": "user", "scope_id": None},
        {"unknown": 1},
    ],
)
def test_a_wrong_budget_is_not_set(live: Live, tenant: Tenant, wrong: dict[str, Any]) -> None:
    body = {"scope": "organization", "period": "day", "limit": "1", **wrong}
    answer = live.call(path_of(tenant), tenant.token, "POST", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed"), answer.text
    assert live.call(path_of(tenant), tenant.token).json()["items"] == []


@pytest.mark.parametrize("period", ["day", "month", "total"])
@pytest.mark.parametrize("scope", ["organization", "project", "user", "api_key"])
def test_a_budget_admits_up_to_its_last_nano_and_refuses_the_next(
    live: Live, tenant: Tenant, scope: str, period: str
) -> None:
    hold = hold_of(live, tenant)
    key_id, key = live.key(tenant)
    me = live.call("/api/me", tenant.token).json()
    ids = {
        "project": tenant.project_id,
        "api_key": key_id,
        "user": me["id"],
    }
    fields = {"scope_id": ids[scope]} if scope in ids else {}
    spent = Decimal(put(live, tenant, scope, "0", period, **fields)["spent"])
    put(live, tenant, scope, str(spent + hold + COST - Decimal("0.000000001")), period, **fields)
    time.sleep(1.1)
    first = ask(live, tenant, key)
    assert first.status_code == 200, first.text
    assert refused(ask(live, tenant, key)), "one nano short of the second"
    [seen] = live.call(path_of(tenant), tenant.token).json()["items"]
    assert Decimal(seen["spent"]) == spent + COST
    assert seen["held"] == "0"
    put(live, tenant, scope, str(spent + hold + COST), period, **fields)
    assert ask(live, tenant, key).status_code == 200
    assert live.wallet(tenant.organization_id, tenant.token)["frozen"] == "0"


def test_a_budget_of_one_key_leaves_other_keys_alone(live: Live, tenant: Tenant) -> None:
    key_id, key = live.key(tenant)
    put(live, tenant, "api_key", "0", scope_id=key_id)
    eventually(lambda: refused(ask(live, tenant, key)))
    assert ask(live, tenant).status_code == 200
    put(live, tenant, "project", "0", scope_id=Lab(live, tenant).project())
    assert ask(live, tenant).status_code == 200


def test_every_budget_that_applies_is_checked_and_the_smallest_decides(live: Live, tenant: Tenant) -> None:
    put(live, tenant, "organization", "1")
    put(live, tenant, "organization", "1", "month")
    put(live, tenant, "project", "0", "total", scope_id=tenant.project_id)
    eventually(lambda: refused(ask(live, tenant)))
    before = [item["held"] for item in live.call(path_of(tenant), tenant.token).json()["items"]]
    assert before == ["0", "0", "0"]  # a refusal holds nothing in the others


def test_what_was_spent_before_a_budget_was_made_counts(live: Live, tenant: Tenant) -> None:
    for _ in range(3):
        ask(live, tenant)
    made = put(live, tenant, "organization", "1", "month")
    assert Decimal(made["spent"]) == 3 * COST
    assert Decimal(made["remaining"]) == 1 - 3 * COST


def test_a_refund_gives_a_budget_back_what_it_gives_the_wallet(live: Live, tenant: Tenant) -> None:
    put(live, tenant, "organization", "1")
    time.sleep(1.1)
    ref = ask(live, tenant).headers["x-billing-ref-id"]
    path = f"/api/admin/transactions/{ref}/refund"
    live.call(path, live.operator_token(), "POST", json={"reason": "test"})
    [seen] = live.call(path_of(tenant), tenant.token).json()["items"]
    assert seen["spent"] == "0"


def test_a_budget_that_is_removed_stops_nobody(live: Live, tenant: Tenant) -> None:
    made = put(live, tenant, "organization", "0")
    eventually(lambda: refused(ask(live, tenant)))
    assert live.call(f"{path_of(tenant)}/{made['id']}", tenant.token, "DELETE").status_code == 204
    eventually(lambda: ask(live, tenant).status_code == 200)
