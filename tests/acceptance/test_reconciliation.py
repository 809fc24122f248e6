"""The books against themselves and against what providers counted."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepspace.billing.provider_checks import compare, totals
from deepspace.kit.errors import PlatformError
from deepspace.testing.fake_upstream import FakeUpstream
from deepspace.upstream.usage_report import ReportedUsage, read_page
from tests.support.live import Live, Tenant

BOOKS = "/api/admin/reconciliation"
CHECKS = f"{BOOKS}/provider-checks"


@pytest.fixture(scope="module")
def provider() -> Iterator[FakeUpstream]:
    """A provider that only this module's calls reach."""
    with FakeUpstream() as found:
        yield found


@pytest.fixture(scope="module")
def tenant(live: Live) -> Tenant:
    """An organisation of the module's own."""
    return live.tenant()


def channel(live: Live, provider: FakeUpstream, **fields: Any) -> tuple[dict[str, Any], list[str]]:
    """Create a channel with two models of its own to the provider."""
    names = [f"counted-{uuid.uuid4().hex[:6]}" for _ in range(2)]
    made = live.channel(
        *({"model": name, "max_output_tokens": 200} for name in names),
        base_url=provider.base_url,
        api_key=provider.api_key,
        **fields,
    )
    return made, names


def this_hour() -> datetime:
    """Return the beginning of the hour."""
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


def an_hour_ago(live: Live, provider: FakeUpstream, channel_id: str) -> tuple[datetime, datetime]:
    """Move the channel's calls into the last whole hour, on both sides, and return that hour."""
    start = this_hour() - timedelta(hours=1)
    with psycopg.connect(live.database_url) as connection:
        connection.execute(
            "UPDATE usage_records SET created_at = %s WHERE channel_id = %s",
            [start + timedelta(minutes=5), channel_id],
        )
    for entry in provider.received:
        entry.at_unix = start.timestamp() + 300
    return start, start + timedelta(hours=1)


def check(
    live: Live, channel_id: str, start: datetime, end: datetime, token: str | None = None
) -> httpx2.Response:
    """Ask for a check of a period."""
    body = {"channel_id": channel_id, "start": start.isoformat(), "end": end.isoformat()}
    return live.call(CHECKS, token or live.operator_token(), "POST", json=body)


@pytest.mark.parametrize(("method", "path"), [("GET", BOOKS), ("GET", CHECKS), ("POST", CHECKS)])
def test_the_state_of_the_books_is_for_operators(live: Live, tenant: Tenant, method: str, path: str) -> None:
    assert live.http.request(method, path, json={}).status_code == 401
    for credential in (tenant.token, tenant.api_key, live.api_key):
        assert live.call(path, credential, method, json={}).status_code == 403


def test_the_books_are_right_and_say_so(live: Live) -> None:
    seen = live.call(BOOKS, live.operator_token()).json()
    assert {view["name"] for view in seen["invariants"]} >= {"I1", "I2", "I3", "I4", "I5", "I6", "I8"}
    assert seen["ok"], seen


def test_a_period_in_which_both_sides_counted_the_same_is_equal(
    live: Live, tenant: Tenant, provider: FakeUpstream
) -> None:
    provider.received.clear()
    made, names = channel(live, provider, usage_key=provider.usage_key)
    for name, text in ((names[0], "one two three"), (names[0], "four"), (names[1], "five six")):
        for stream in (False, True):
            assert live.chat(name, text, tenant.api_key, stream=stream).status_code == 200
    live.balance(tenant.organization_id, tenant.token)
    start, end = an_hour_ago(live, provider, made["id"])
    found = check(live, made["id"], start, end)
    assert found.status_code == 201, found.text
    view = found.json()
    assert view["status"] == "equal"
    assert view["ours"] == view["theirs"]
    assert view["ours"]["requests"] == 6
    assert set(view["ours"]["models"]) == set(names)
    # A call the books do not know: the provider's count is the only witness.
    provider.received[0].usage = {**(provider.received[0].usage or {}), "completion_tokens": 1000}
    again = check(live, made["id"], start, end).json()
    assert again["status"] == "differs"
    assert again["theirs"]["output_tokens"] - again["ours"]["output_tokens"] > 900
    listed = live.call(CHECKS, live.operator_token()).json()["items"]
    assert [item["status"] for item in listed if item["channel_id"] == made["id"]] == ["differs"]


def test_a_channel_that_cannot_tell_says_why(live: Live, provider: FakeUpstream) -> None:
    start, end = this_hour() - timedelta(hours=2), this_hour()
    silent, _ = channel(live, provider)
    view = check(live, silent["id"], start, end).json()
    assert (view["status"], view["theirs"]) == ("unavailable", None)
    assert "usage_key" in view["reason"]
    refused, _ = channel(live, provider, usage_key="not the right one")
    view = check(live, refused["id"], start, end).json()
    assert view["status"] == "unavailable"
    assert "401" in view["reason"]
    assert "not the right one" not in str(live.call("/api/admin/channels", live.operator_token()).json())


def test_a_period_that_is_none_and_a_channel_nobody_has_change_nothing(
    live: Live, provider: FakeUpstream
) -> None:
    made, _ = channel(live, provider, usage_key=provider.usage_key)
    now, hour = this_hour(), timedelta(hours=1)
    for start, end in (
        (now, now),
        (now, now - hour),
        (now - hour, now + hour),
        (now - 800 * hour, now),
        (now - hour + timedelta(minutes=1), now),
    ):
        answer = check(live, made["id"], start, end)
        assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    assert check(live, str(uuid.uuid4()), now - hour, now).status_code == 404
    listed = live.call(CHECKS, live.operator_token()).json()["items"]
    assert made["id"] not in {item["channel_id"] for item in listed}


LINES = st.lists(
    st.builds(
        ReportedUsage,
        model=st.sampled_from(["a", "b", "c"]),
        requests=st.integers(0, 10**9),
        input_tokens=st.integers(0, 10**15),
        output_tokens=st.integers(0, 10**15),
    )
)


@given(LINES)
def test_totals_are_the_sums_of_the_models_whatever_the_order(lines: list[ReportedUsage]) -> None:
    found = totals(lines)
    assert found["input_tokens"] == sum(line.input_tokens for line in lines)
    assert compare(found, totals(lines[::-1])) == "equal"
    more = [*lines, ReportedUsage("d", 1, 0, 0)]
    assert compare(found, totals(more)) == "differs"


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_what_is_no_report_is_refused_and_never_an_exception_of_another_kind(body: bytes) -> None:
    with pytest.raises(PlatformError) as refusal:
        read_page(body)
    assert refusal.value.code == "upstream_error"
