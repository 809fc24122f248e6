"""F13, F16, F17: many at once on one reference, on exact funds, on a budget; a management pool used up."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal

import psycopg
import pytest
from sqlalchemy import text

from deepspace.kit.embedded_postgres import EmbeddedPostgres
from deepspace.settings import load_settings
from deepspace.wiring import wire
from tests.chaos.books import LONG, capture_of, fresh_database, hold_request, make_org
from tests.chaos.site import Call, Fleet, Try, calls, note, session, try_once
from tests.support.live import Live, Tenant

pytestmark = pytest.mark.timeout(600 if LONG else 120)

RACERS, K = (1000, 20) if LONG else (60, 7)


async def all_at_once(
    urls: Sequence[str], key: str, org: str, wanted: Sequence[Call], gateways: Fleet
) -> list[Try]:
    """Let every call go off at the same moment, spread over gateways."""
    async with session(200, 60) as http:

        async def one(number: int, call: Call) -> Try:
            seen = await try_once(http, urls[number % len(urls)], key, call)
            note(gateways.record, org, seen)
            return seen

        return await asyncio.gather(*(one(number, call) for number, call in enumerate(wanted)))


@pytest.mark.parametrize("stream", [False, True])
def test_one_reference_a_hundred_times_at_once_over_two_gateways_is_one_call(
    gateways: Fleet, stream: bool
) -> None:
    tenant = gateways.live.tenant(balance="1")
    gateways.start()
    [call] = calls(1, model="fake-slow")
    call.stream = stream
    urls = [gateways.url, gateways.live.url]
    everyone = all_at_once(urls, tenant.api_key, tenant.organization_id, [call] * 100, gateways)
    seen = asyncio.run(everyone)
    assert len(gateways.live.upstream.of_prompt(call.text)) == 1
    first = [one for one in seen if one.outcome == "answered" and not one.replayed]
    replays = [one for one in seen if one.replayed]
    others = [one for one in seen if one not in first and one not in replays]
    assert len(first) == 1
    assert {(one.status, one.code) for one in others} <= {(409, "call_in_progress")}
    late = asyncio.run(all_at_once(urls, tenant.api_key, tenant.organization_id, [call] * 4, gateways))
    assert [one.replayed for one in late] == [True] * 4
    assert {one.body for one in replays + late} == {first[0].body}
    gateways.audit("--settled", "--all-told")


def hold_of(live: Live, tenant: Tenant, call: Call) -> Decimal:
    """Return what such a call holds, from one that is released (its provider fails)."""
    body = {**call.body, "model": "fake-html"}  # as long a name: a hold is bounded by the bytes of its body
    response = live.call("/v1/chat/completions", tenant.api_key, "POST", content=json.dumps(body))
    return Decimal(live.trace(response.headers["x-trace-id"], tenant.api_key)["hold"]["amount"])


def racers() -> list[Call]:
    """Return calls of the same size, each slow enough that all holds stand at once."""
    return [Call("fake-hang", "race" + "." * 6, False, None, 5) for _ in range(RACERS)]


def test_funds_for_k_calls_admit_exactly_k_over_two_gateways(gateways: Fleet) -> None:
    live, race = gateways.live, racers()
    gateways.start()
    amount = hold_of(live, live.tenant(balance="1"), race[0])
    tenant = live.tenant(balance=str(amount * K))
    urls = [gateways.url, live.url]
    seen = asyncio.run(all_at_once(urls, tenant.api_key, tenant.organization_id, race, gateways))
    codes = Counter(one.code for one in seen)
    assert codes == {"upstream_timeout": K, "insufficient_funds": RACERS - K}
    assert live.wallet(tenant.organization_id, tenant.token)["available"] == str(amount * K)
    gateways.audit("--settled")


def test_a_budget_for_k_calls_admits_exactly_k_over_two_gateways(gateways: Fleet) -> None:
    live, race = gateways.live, racers()
    gateways.start()
    tenant = live.tenant(balance="10")
    amount = hold_of(live, tenant, race[0])
    path = f"/api/organizations/{tenant.organization_id}/budgets"
    body = {"scope": "organization", "period": "day", "limit": str(amount * K)}
    assert live.call(path, tenant.token, "POST", json=body).status_code == 201
    time.sleep(1.2)  # a gateway may remember for a second that there was no budget
    urls = [gateways.url, live.url]
    seen = asyncio.run(all_at_once(urls, tenant.api_key, tenant.organization_id, race, gateways))
    assert Counter(one.code for one in seen) == {"upstream_timeout": K, "budget_exceeded": RACERS - K}
    [budget] = live.call(path, tenant.token).json()["items"]
    assert (budget["held"], budget["spent"]) == ("0", "0")  # nothing was delivered, all was given back
    gateways.audit("--settled")


def test_holds_do_not_wait_for_a_management_pool_that_is_used_up(postgres: EmbeddedPostgres) -> None:
    url = fresh_database(postgres, "pool")
    settings = load_settings({}, database_url=url, secret_key="s" * 32)
    with psycopg.connect(url, autocommit=True) as connection:
        org = make_org(connection, 10_000)

    async def scene() -> float:
        platform = wire(settings)
        await platform.ledger.start()

        async def report() -> None:
            async with platform.database.platform() as tx:
                await tx.execute(text("SELECT pg_sleep(2)"))

        reports = [asyncio.create_task(report()) for _ in range(12)]
        await asyncio.sleep(0.5)
        began = time.monotonic()
        for _ in range(20):
            request = hold_request(org, 100)
            await platform.ledger.hold(request)
            await platform.ledger.capture(capture_of(request, 10))
        took = time.monotonic() - began
        assert not any(task.done() for task in reports)
        await asyncio.gather(*reports)
        await platform.close()
        return took

    assert asyncio.run(scene()) < 1.0
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT balance_nano FROM wallets WHERE org_id = %s", (org,)).fetchone()
    assert row == (9_800,)
