"""Many at once: a wallet that can pay for exactly k calls pays for exactly k."""

from __future__ import annotations

import asyncio
from collections import Counter
from decimal import Decimal

import httpx2

from tests.support.live import Live, as_

RACERS = 50


async def race(live: Live, key: str, model: str) -> list[httpx2.Response]:
    """Make RACERS calls at the same moment."""
    body = {"model": model, "messages": [{"role": "user", "content": "race"}], "max_tokens": 1}
    limits = httpx2.Limits(max_connections=RACERS)
    async with httpx2.AsyncClient(base_url=live.url, timeout=30, trust_env=False, limits=limits) as client:
        calls = (client.post("/v1/chat/completions", json=body, headers=as_(key)) for _ in range(RACERS))
        return list(await asyncio.gather(*calls))


def test_a_wallet_that_can_hold_exactly_k_calls_admits_exactly_k(live: Live) -> None:
    """The provider hangs, so every admitted call holds its money while the others race for the rest."""
    k = 7
    live.channel(
        {"model": "race-hang", "upstream_model": "fake-hang"},
        timeouts={"connect_s": 2, "first_byte_s": 0.7, "idle_s": 1, "total_s": 5},
    )
    amount = hold_of_one(live, "race-hang")
    tenant = live.tenant(balance=str(amount * k))
    answers = asyncio.run(race(live, tenant.api_key, "race-hang"))
    codes = Counter(answer.json()["error"]["code"] for answer in answers)
    assert codes == {"upstream_timeout": k, "insufficient_funds": RACERS - k}
    assert (
        live.balance(tenant.organization_id, tenant.api_key) == amount * k
    )  # nothing delivered, all released


def test_a_wallet_is_spent_to_the_last_call_and_never_below_zero(live: Live) -> None:
    """Here calls answer at once: what a hold had too much is free again, until no hold fits."""
    amount = hold_of_one(live, "fake-echo")
    cost = Decimal("0.0000025")  # one token in, one token out
    start = amount + 10 * cost
    tenant = live.tenant(balance=str(start))
    served = 0
    while True:
        answers = asyncio.run(race(live, tenant.api_key, "fake-echo"))
        assert {answer.status_code for answer in answers} <= {200, 402}
        for answer in answers:
            if answer.status_code == 200:
                assert Decimal(answer.json()["usage"]["cost"]) == cost
        won = sum(answer.status_code == 200 for answer in answers)
        served += won
        wallet = live.wallet(tenant.organization_id, tenant.api_key)
        assert Decimal(wallet["available"]) >= 0
        if not won:
            break
    assert served == 11  # ten costs above the hold, and the hold itself once
    assert live.balance(tenant.organization_id, tenant.api_key) == start - served * cost


def test_one_wallet_under_load_is_charged_for_every_call_once(live: Live) -> None:
    before = live.balance()
    answers = asyncio.run(race(live, live.api_key, "fake-echo"))
    assert [answer.status_code for answer in answers] == [200] * RACERS
    refs = {answer.headers["x-billing-ref-id"] for answer in answers}
    assert len(refs) == RACERS
    total = sum((Decimal(answer.json()["usage"]["cost"]) for answer in answers), Decimal(0))
    assert before - live.balance() == total == RACERS * Decimal("0.0000025")


def hold_of_one(live: Live, model: str) -> Decimal:
    """Return what one racer's call holds, from the trace of one."""
    body = {"model": model, "messages": [{"role": "user", "content": "race"}], "max_tokens": 1}
    response = live.call("/v1/chat/completions", None, "POST", json=body)
    return Decimal(live.trace(response.headers["x-trace-id"])["hold"]["amount"])
