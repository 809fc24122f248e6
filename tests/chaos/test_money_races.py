"""F18: prices that change under a stream, refunds that race, payment events often, late and forged."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import random
import time
import uuid
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from tests.chaos.books import LONG
from tests.chaos.site import Call, Fleet, note, session, try_once
from tests.support.live import Live, as_

pytestmark = pytest.mark.timeout(300 if LONG else 120)

SECRET = base64.b64encode(b"a secret shared with a provider").decode()
TIMES = 200 if LONG else 20


def test_a_stream_is_charged_at_the_price_it_was_held_at_whatever_the_price_is_when_it_ends(
    gateways: Fleet,
) -> None:
    live = gateways.live
    tenant, operator = live.tenant(balance="1"), live.operator_token()
    model = f"repriced-{uuid.uuid4().hex[:6]}"
    live.channel({"model": model, "upstream_model": "fake-slow", "max_output_tokens": 100})

    async def scene() -> tuple[Any, Any]:
        async with session() as http:
            call = Call(model, "word " * 20, True, None, 50)
            stream = asyncio.create_task(try_once(http, live.url, tenant.api_key, call))
            await asyncio.sleep(0.5)
            dearer = {"model": model, "per_million": {"input": "50", "output": "200"}}
            published = await asyncio.to_thread(live.call, "/api/admin/prices", operator, "POST", json=dearer)
            assert published.status_code == 201
            assert not stream.done()
            return await stream, await try_once(http, live.url, tenant.api_key, call)

    first, second = asyncio.run(scene())
    for seen in (first, second):
        note(gateways.record, tenant.organization_id, seen)
    assert first.cost == "0.00005"  # 20 × 0.5/M + 20 × 2/M
    assert second.cost == "0.005"
    gateways.audit("--settled", "--all-told")


def test_many_refunds_of_one_call_at_once_give_back_no_more_than_it_cost(gateways: Fleet) -> None:
    live = gateways.live
    tenant, operator = live.tenant(balance="1"), live.operator_token()
    answer = live.chat("fake-echo", "a b c d", tenant.api_key)
    ref = answer.headers["x-billing-ref-id"]
    assert answer.json()["usage"]["cost"] == "0.00001"

    async def scene() -> list[int]:
        async with aiohttp.ClientSession(headers=as_(operator)) as http:

            async def refund(number: int) -> int:
                body = {"amount": "0.000003", "reason": "race", "organization_id": tenant.organization_id}
                headers = {"idempotency-key": f"{ref}-{number % 5}"} if number % 2 else {}
                path = f"{live.url}/api/admin/transactions/{ref}/refund"
                async with http.post(path, json=body, headers=headers) as response:
                    return response.status

            return await asyncio.gather(*(refund(number) for number in range(TIMES)))

    statuses = asyncio.run(scene())
    assert set(statuses) <= {201, 409}
    wallet = live.wallet(tenant.organization_id, tenant.token)
    assert wallet["balance"] == "0.999999"  # three of 0.000003 fit into 0.00001
    gateways.audit("--settled")


def test_a_refund_that_races_the_capture_finds_it_or_does_not(gateways: Fleet) -> None:
    live = gateways.live
    tenant, operator = live.tenant(balance="1"), live.operator_token()
    call = Call("fake-slow", "w " * 6, False, f"refund-{uuid.uuid4().hex}", 10)

    async def scene() -> tuple[Any, list[int]]:
        async with session() as http:
            running = asyncio.create_task(try_once(http, live.url, tenant.api_key, call))
            statuses = []
            while not running.done() or 201 not in statuses:
                path = f"{live.url}/api/admin/transactions/{call.ref}/refund"
                body = {"reason": "race", "organization_id": tenant.organization_id}
                async with http.post(path, json=body, headers=as_(operator)) as response:
                    statuses.append(response.status)
            return await running, statuses

    seen, statuses = asyncio.run(scene())
    note(gateways.record, tenant.organization_id, seen)
    assert statuses == [404] * (len(statuses) - 1) + [201]
    assert live.wallet(tenant.organization_id, tenant.token)["balance"] == "1"
    gateways.audit("--settled", "--all-told")


def signed(body: bytes, event_id: str, at: int, secret: str = SECRET) -> dict[str, str]:
    """Sign an event as a provider does (Standard Webhooks), with nothing of the platform's own."""
    mac = hmac.new(base64.b64decode(secret), f"{event_id}.{at}.".encode() + body, hashlib.sha256)
    signature = "v1," + base64.b64encode(mac.digest()).decode()
    return {"webhook-id": event_id, "webhook-timestamp": str(at), "webhook-signature": signature}


def payment(org: str, amount: str, kind: str = "payment.succeeded") -> bytes:
    """Return an event's body."""
    data = {"organization_id": org, "amount": amount, "currency": "USD"}
    return json.dumps({"type": kind, "data": data}).encode()


def test_payment_events_count_once_however_often_late_or_mixed_up_they_come(gateways: Fleet) -> None:
    live: Live = gateways.live
    tenant = live.tenant(balance="0")
    gateways.extra = {"DEEPSPACE_PAYMENT_WEBHOOK_SECRET": f"whsec_{SECRET}"}
    gateways.start()
    now, prefix = int(time.time()), uuid.uuid4().hex
    good = []
    for number in range(1, 11):
        body, name = payment(tenant.organization_id, f"0.{number:02}"), f"{prefix}-{number}"
        good += [(body, signed(body, name, now - number * 20), 204)] * TIMES
    body, name = payment(tenant.organization_id, "1000"), f"{prefix}-bad"
    huge = {**signed(body, name, now), "webhook-timestamp": "9" * 400}
    bad = [
        (body, signed(body, name, now, base64.b64encode(b"another secret").decode()), 401),
        (body + b" ", signed(body, name, now), 401),
        (body, {**signed(body, name, now), "webhook-id": f"{name}2"}, 401),
        (body, {**signed(body, name, now), "webhook-timestamp": str(now + 1)}, 401),
        (body, signed(body, name, now - 301), 401),
        (body, signed(body, name, now + 400), 401),
        (body, {}, 401),
        (body, {**signed(body, name, now), "webhook-timestamp": "soon"}, 401),
        (body, huge, 401),
        (b"{}", signed(b"{}", name, now), 422),
    ]
    other = payment(tenant.organization_id, "1000", "payment.failed")
    bad.append((other, signed(other, f"{name}3", now), 204))
    events = [*good, *bad]
    random.Random(3).shuffle(events)

    async def scene() -> list[tuple[int, int]]:
        async with session(30) as http:

            async def deliver(data: bytes, headers: dict[str, str], expected: int) -> tuple[int, int]:
                url = f"{gateways.url}/api/webhooks/payments"
                async with http.post(url, data=data, headers=headers) as response:
                    return response.status, expected

            return await asyncio.gather(*(deliver(*event) for event in events))

    assert [pair for pair in asyncio.run(scene()) if pair[0] != pair[1]] == []
    total = sum((Decimal(number) / 100 for number in range(1, 11)), Decimal(0))
    assert Decimal(live.wallet(tenant.organization_id, tenant.token)["balance"]) == total
    gateways.audit()


def test_without_a_secret_there_is_no_payment_webhook(site: Live) -> None:
    body = payment(site.organization_id, "1")
    response = site.http.post(
        "/api/webhooks/payments", content=body, headers=signed(body, "x", int(time.time()))
    )
    assert response.status_code == 404
