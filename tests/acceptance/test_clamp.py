"""A caller who agrees gets the longest answer the money allows, and is told how long that is."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.support.live import Live

CLAMP = {"x-deepspace-clamp": "affordable"}
MODEL = "fake-echo"  # input 0.5, output 2 per million; at most 200 tokens out


def ask(live: Live, key: str, **options: object) -> object:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "word " * 150}]}
    return live.call("/v1/chat/completions", key, "POST", json=body, **options)


@pytest.fixture
def poor(live: Live) -> tuple[str, str]:
    """A tenant whose money covers the input's bound and some sixty tokens of output."""
    tenant = live.tenant("0.00085")
    return tenant.organization_id, tenant.api_key


def test_without_consent_a_call_that_is_not_covered_is_refused(live: Live, poor: tuple[str, str]) -> None:
    response = ask(live, poor[1])
    assert (response.status_code, response.json()["error"]["code"]) == (402, "insufficient_funds")


def test_with_consent_the_answer_is_as_long_as_the_money_allows(live: Live, poor: tuple[str, str]) -> None:
    before = live.balance(*poor)
    response = ask(live, poor[1], headers=CLAMP)
    assert response.status_code == 200, response.text
    name, _, limit = response.headers["x-deepspace-clamped"].partition("=")
    assert name == "max_tokens"
    assert 0 < int(limit) < 200
    usage = response.json()["usage"]
    assert usage["completion_tokens"] == min(150, int(limit))  # what the provider was told to stay within
    assert before - live.balance(*poor) == Decimal(usage["cost"])


def test_with_consent_and_enough_money_nothing_is_clamped(live: Live) -> None:
    response = ask(live, live.api_key, headers=CLAMP)
    assert response.status_code == 200
    assert "x-deepspace-clamped" not in response.headers


def test_with_consent_but_not_even_one_token_covered_the_call_is_refused(live: Live) -> None:
    response = ask(live, live.tenant("0.0001").api_key, headers=CLAMP)
    assert (response.status_code, response.json()["error"]["code"]) == (402, "insufficient_funds")
