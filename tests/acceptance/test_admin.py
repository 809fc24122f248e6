"""What operators do: channels, prices, top-ups."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.support.live import PRICE, Live

CANARY = "sk-canary-7f3c1e5a9b"


@pytest.fixture
def operator(live: Live) -> str:
    """An operator's access token."""
    return live.operator_token()


def test_the_credential_of_a_channel_is_shown_nowhere_ever(live: Live, operator: str) -> None:
    body: dict[str, Any] = {
        "name": f"canary-{uuid.uuid4().hex[:6]}",
        "kind": "openai",
        "base_url": live.upstream.base_url,
        "api_key": CANARY,
        "models": [{"model": "canary-model", "upstream_model": "fake-echo"}],
    }
    made = live.call("/api/admin/channels", operator, "POST", json=body)
    assert made.status_code == 201
    assert made.json()["has_api_key"] is True
    priced = live.call(
        "/api/admin/prices", operator, "POST", json={"model": "canary-model", "per_million": PRICE}
    )
    assert priced.status_code == 201
    # The provider refuses this credential, and says so in an error that goes through the platform.
    chat = live.chat("canary-model", "hi")
    assert chat.status_code == 503
    channel = made.json()["id"]
    answers = [
        made,
        chat,
        live.call(f"/api/admin/channels/{channel}/test", operator, "POST"),
        live.call(f"/api/admin/channels/{channel}", operator, "PATCH", json={"status": "enabled"}),
        live.call("/api/admin/channels", operator),
        live.call("/v1/models"),
        live.call(f"/api/traces/{chat.headers['x-trace-id']}"),
        live.call("/api/admin/channels", operator, "POST", json=body),  # refused: the name is taken
        live.call("/api/admin/channels", operator, "POST", json={**body, "weight": 0}),  # refused: 422
        live.http.get("/metrics"),
    ]
    assert [answer.status_code for answer in answers[-3:]] == [409, 422, 200]
    for answer in answers:
        assert CANARY not in answer.text
        assert CANARY not in str(answer.headers)
    assert CANARY not in live.log.read_text()
    live.call(f"/api/admin/channels/{channel}", operator, "PATCH", json={"status": "disabled"})


def test_a_channel_is_tested_with_one_word_and_nobody_is_charged(live: Live, operator: str) -> None:
    before = live.balance()
    channel = live.channel({"model": "tested-model", "upstream_model": "fake-echo"})
    response = live.call(f"/api/admin/channels/{channel['id']}/test", operator, "POST")
    assert response.json() == {"ok": True, "model": "tested-model", "status": 200}
    assert live.upstream.received[-1].body["max_tokens"] == 1
    assert live.balance() == before


def test_testing_a_channel_that_fails_says_how(live: Live, operator: str) -> None:
    channel = live.channel({"model": "failing-model", "upstream_model": "fake-500"})
    response = live.call(f"/api/admin/channels/{channel['id']}/test", operator, "POST")
    assert (response.status_code, response.json()["code"]) == (502, "upstream_error")
    assert "fake failure 500" in response.json()["detail"]


@pytest.mark.parametrize(
    "change",
    [
        {"base_url": "ftp://example.org"},
        {"base_url": "http://user:secret@example.org"},
        {"base_url": "http://"},
        {"base_url": "not an address"},
        {"kind": "local"},
        {"kind": "anthropic-ish"},
        {"models": []},
        {"models": [{"model": ""}]},
        {"models": [{"model": "m", "max_output_tokens": 0}]},
        {"name": ""},
        {"name": "a\x00b"},
        {"timeouts": {"idle_s": -1}},
        {"priority": 10_000},
        {"on_disconnect": "explode"},
        {"unknown": 1},
    ],
)
def test_a_channel_with_a_wrong_field_is_not_created(
    live: Live, operator: str, change: dict[str, Any]
) -> None:
    body = {"name": "wrong", "kind": "newapi", "base_url": "http://127.0.0.1:9", "models": [{"model": "m"}]}
    before = live.call("/api/admin/channels", operator).json()
    response = live.call("/api/admin/channels", operator, "POST", json={**body, **change})
    assert (response.status_code, response.json()["code"]) == (422, "validation_failed"), response.text
    assert live.call("/api/admin/channels", operator).json() == before


def test_a_channel_that_does_not_exist_is_not_found(live: Live, operator: str) -> None:
    path = f"/api/admin/channels/{uuid.uuid4()}"
    assert live.call(path, operator, "PATCH", json={"status": "enabled"}).status_code == 404
    assert live.call(f"{path}/test", operator, "POST").status_code == 404


def test_a_new_price_holds_from_its_moment_on_and_calls_keep_the_price_they_began_with(
    live: Live, operator: str
) -> None:
    live.channel({"model": "repriced", "upstream_model": "fake-echo"})
    old = live.chat("repriced", "one two")
    body = {"model": "repriced", "per_million": {"input": "1", "output": "10"}, "per_call": "0.001"}
    assert live.call("/api/admin/prices", operator, "POST", json=body).status_code == 201
    new = live.chat("repriced", "one two")
    assert Decimal(old.json()["usage"]["cost"]) == Decimal("0.000005")
    assert Decimal(new.json()["usage"]["cost"]) == Decimal("0.001022")
    assert live.trace(old.headers["x-trace-id"])["price"]["per_million"]["output"] == "2"
    versions = live.call("/api/admin/prices?model=repriced", operator).json()["items"]
    assert len(versions) == 2
    assert versions[0]["ends_at"] is None
    assert versions[1]["ends_at"] == versions[0]["effective_at"]  # no gap, no overlap


def test_a_price_of_the_future_changes_nothing_yet(live: Live, operator: str) -> None:
    live.channel({"model": "later", "upstream_model": "fake-echo"})
    start = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    body = {"model": "later", "per_million": {"input": "100", "output": "100"}, "effective_at": start}
    assert live.call("/api/admin/prices", operator, "POST", json=body).status_code == 201
    time.sleep(1.1)  # past the price book's memory
    assert Decimal(live.chat("later", "one").json()["usage"]["cost"]) == Decimal("0.0000025")
    # A price before the one of the future would have to be squeezed in: refused.
    again = live.call("/api/admin/prices", operator, "POST", json={"model": "later", "per_million": PRICE})
    assert (again.status_code, again.json()["code"]) == (409, "price_overlaps")


@pytest.mark.parametrize(
    "change",
    [
        {"per_million": {"input": "-1"}},
        {"per_million": {"input": "0.0000001"}},
        {"per_million": {"input": 0.5}},
        {"per_million": {"input": "NaN"}},
        {"per_million": {"input": "1e99"}},
        {"per_million": {"water": "1"}},
        {"per_call": "0.0000000001"},
        {"per_call": "-1"},
        {"currency": "EUR"},
        {"currency": "nonsense"},
        {"model": ""},
        {"tiers": [{"from_input_tokens": 0, "per_million": {}}]},
        {"tiers": [{"from_input_tokens": 5, "per_million": {"water": "1"}}]},
        {"effective_at": "2026-01-01T00:00:00"},
        {"unknown": 1},
    ],
)
def test_a_wrong_price_is_not_published(live: Live, operator: str, change: dict[str, Any]) -> None:
    body = {"model": "wrongly-priced", "per_million": {"input": "1", "output": "1"}, **change}
    response = live.call("/api/admin/prices", operator, "POST", json=body)
    assert (response.status_code, response.json()["code"]) == (422, "validation_failed"), response.text
    assert live.call("/api/admin/prices?model=wrongly-priced", operator).json()["items"] == []


def test_a_top_up_is_in_the_wallet_and_in_the_list(live: Live, operator: str) -> None:
    tenant = live.tenant(balance="0")
    path = f"/api/admin/wallets/{tenant.organization_id}/topups"
    body = {"amount": "2.000000001", "reason": "invoice 1"}
    response = live.call(path, operator, "POST", json=body)
    assert response.status_code == 201
    assert response.json()["balance"] == "2.000000001"
    [entry] = live.call(f"/api/organizations/{tenant.organization_id}/transactions", tenant.api_key).json()[
        "items"
    ]
    assert (entry["type"], entry["amount"], entry["reason"]) == ("topup", "2.000000001", "invoice 1")


@pytest.mark.parametrize(
    "change",
    [
        {"amount": "0"},
        {"amount": "-1"},
        {"amount": "1.0000000001"},
        {"amount": 1},
        {"amount": 0.5},
        {"amount": "1e30"},
        {"amount": "NaN"},
        {"amount": "Infinity"},
        {"amount": ""},
        {"reason": ""},
        {"reason": "a\x00b"},
        {"unknown": 1},
    ],
)
def test_a_wrong_top_up_books_nothing(live: Live, operator: str, change: dict[str, Any]) -> None:
    before = live.wallet()
    path = f"/api/admin/wallets/{live.organization_id}/topups"
    response = live.call(path, operator, "POST", json={"amount": "1", "reason": "test", **change})
    assert (response.status_code, response.json()["code"]) == (422, "validation_failed"), response.text
    assert live.wallet() == before


def test_a_wallet_cannot_be_filled_beyond_what_the_books_can_count(live: Live, operator: str) -> None:
    before = live.wallet()
    path = f"/api/admin/wallets/{live.organization_id}/topups"
    response = live.call(path, operator, "POST", json={"amount": "9223372036.854775807", "reason": "all"})
    assert response.status_code == 422, response.text
    assert live.wallet() == before


def test_a_top_up_of_nobodys_wallet_is_not_found(live: Live, operator: str) -> None:
    path = f"/api/admin/wallets/{uuid.uuid4()}/topups"
    response = live.call(path, operator, "POST", json={"amount": "1", "reason": "test"})
    assert (response.status_code, response.json()["code"]) == (404, "not_found")
