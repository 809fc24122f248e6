"""What an organisation used: records and sums add up to what left the wallet."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.support.live import Live, Tenant


@pytest.fixture(scope="module")
def tenant(live: Live) -> Tenant:
    """A tenant with three calls on the books: two by key, one by session."""
    found = live.tenant("1")
    live.chat("fake-echo", "one two", found.api_key)
    live.chat("fake-cached", "one two three", found.api_key)
    live.chat("fake-echo", "one", found.token)
    return found


def path(tenant: Tenant, rest: str = "") -> str:
    return f"/api/organizations/{tenant.organization_id}/usage{rest}"


def test_usage_is_for_those_who_may_read_the_books(live: Live, tenant: Tenant) -> None:
    for rest in ("", "/summary"):
        assert live.http.get(path(tenant, rest)).status_code == 401
        assert live.call(path(tenant, rest)).status_code == 404  # a stranger's key
        assert live.call(path(tenant, rest), tenant.api_key).status_code == 200
        assert (
            live.call(path(tenant, rest + "?group_by=colour&since=yesterday"), tenant.token).status_code
            == 422
        )


def test_the_records_add_up_to_what_left_the_wallet(live: Live, tenant: Tenant) -> None:
    items = live.call(path(tenant), tenant.token).json()["items"]
    assert [item["model"] for item in items] == ["fake-echo", "fake-cached", "fake-echo"]
    assert items[0]["api_key_id"] is None
    assert items[1]["by_class"] == {"input": 2, "cached_input": 1, "output": 3}
    spent = 1 - live.balance(tenant.organization_id, tenant.token)
    assert sum(Decimal(item["cost"]) for item in items) == spent


def test_pages_and_filters_neither_lose_nor_repeat_a_record(live: Live, tenant: Tenant) -> None:
    whole = [item["trace_id"] for item in live.call(path(tenant), tenant.token).json()["items"]]
    paged: list[str] = []
    cursor = ""
    while True:
        page = live.call(path(tenant, f"?limit=1{cursor}"), tenant.token).json()
        paged += [item["trace_id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert paged == whole
    cached = live.call(path(tenant, "?model=fake-cached"), tenant.token).json()["items"]
    assert [item["trace_id"] for item in cached] == [whole[1]]
    assert live.call(path(tenant, "?since=2100-01-01T00:00:00Z"), tenant.token).json()["items"] == []


@pytest.mark.parametrize("group_by", ["day", "model", "project", "user", "key"])
def test_every_way_of_summing_comes_to_the_same(live: Live, tenant: Tenant, group_by: str) -> None:
    groups = live.call(path(tenant, f"/summary?group_by={group_by}"), tenant.token).json()["items"]
    spent = 1 - live.balance(tenant.organization_id, tenant.token)
    assert sum(Decimal(group["cost"]) for group in groups) == spent
    assert (sum(group["calls"] for group in groups), sum(group["input_tokens"] for group in groups)) == (3, 6)
    expected = {"day": 1, "model": 2, "project": 1, "user": 1, "key": 2}
    assert len(groups) == expected[group_by]
