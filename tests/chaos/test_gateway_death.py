"""F1, F19: gateways are killed and replaced under clients that insist."""

from __future__ import annotations

import asyncio
import random
import signal

import pytest

from tests.chaos.books import LONG
from tests.chaos.site import Call, Fleet, Try, calls, session, until_answered

pytestmark = pytest.mark.timeout(3600 if LONG else 150)

KILLS, CLIENTS = (200, 50) if LONG else (8, 12)
RESTARTS = 20 if LONG else 2


async def customers(
    gateways: Fleet, key: str, org: str, stop: asyncio.Event, *, keyed: bool, count: int
) -> list[list[Try]]:
    """Make calls until told to stop, each until it is answered."""
    found: list[list[Try]] = []
    async with session() as http:

        async def customer(number: int) -> None:
            while not stop.is_set():
                [call] = calls(1, keyed=keyed, model="fake-slow" if number % 4 == 0 else "fake-echo")
                call = Call(call.model, call.text, number % 2 == 0, call.ref)
                found.append(await until_answered(http, gateways.url, key, org, call, gateways.record))

        await asyncio.gather(*(customer(number) for number in range(count)))
    return found


def test_no_charge_is_lost_or_doubled_while_gateways_are_killed_under_insisting_clients(
    gateways: Fleet,
) -> None:
    tenant = gateways.live.tenant(balance="5")
    gateways.start()
    gateways.start_worker()

    async def reaper(stop: asyncio.Event) -> None:
        chance = random.Random(1)
        for _ in range(KILLS):
            await asyncio.sleep(0.2 + chance.random() * 0.8)
            victim = gateways.processes[-1] if len(gateways.processes) > 2 else gateways.processes[0]
            victim.kill()
            victim.wait(10)
            await asyncio.to_thread(gateways.fork)
        stop.set()

    async def scene() -> list[list[Try]]:
        stop = asyncio.Event()
        work = customers(gateways, tenant.api_key, tenant.organization_id, stop, keyed=True, count=CLIENTS)
        answers, _ = await asyncio.gather(work, reaper(stop))
        return answers

    answers = asyncio.run(scene())
    assert len(answers) > CLIENTS
    assert any(len(tries) > 1 for tries in answers), "no client ever met a dead gateway"
    assert all(tries[-1].outcome == "answered" or tries[-1].code == "answer_not_kept" for tries in answers)
    gateways.audit("--settled", within_s=4 * 5 + 10)


def test_a_rolling_restart_under_load_fails_no_request_and_loses_no_record(gateways: Fleet) -> None:
    """SIGTERM to the old process once the new one listens on the same socket."""
    live = gateways.live
    tenant = live.tenant(balance="5")
    gateways.start()

    async def roll(stop: asyncio.Event) -> None:
        for _ in range(RESTARTS):
            await asyncio.sleep(0.7)
            old = gateways.processes[-1]
            await asyncio.to_thread(gateways.start_beside)
            old.send_signal(signal.SIGTERM)
            await asyncio.to_thread(old.wait, 40)
            assert old.returncode in {0, -signal.SIGTERM}, gateways.log.read_text()[-2000:]
        stop.set()

    async def scene() -> list[list[Try]]:
        stop = asyncio.Event()
        work = customers(gateways, tenant.api_key, tenant.organization_id, stop, keyed=False, count=CLIENTS)
        answers, _ = await asyncio.gather(work, roll(stop))
        return answers

    answers = asyncio.run(scene())
    assert len(answers) > CLIENTS
    unlucky = [one for tries in answers for one in tries if one.outcome != "answered"]
    assert unlucky == []
    gateways.audit("--settled", "--all-told")
