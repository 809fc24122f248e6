"""F3, F4, F6: PostgreSQL is killed or paused under load, alone or together with the gateway."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from deepspace.audit.repository import AuditJournal
from deepspace.billing.errors import LedgerUnavailable
from deepspace.billing.ledger import Captured
from deepspace.billing.spool import Spool, read_spool
from deepspace.billing.writer import LedgerWriter
from deepspace.kit.ids import uuid7
from deepspace.testing.fake_upstream import FakeUpstream
from tests.chaos.books import LONG, capture_of, hold_request, make_org
from tests.chaos.cluster import Cluster, cluster
from tests.chaos.site import Call, Fleet, Try, calls, fleet, note, session, try_once, until_answered
from tests.support.live import Live, start_live

pytestmark = pytest.mark.timeout(3600 if LONG else 170)

KILLS, CLIENTS = (50, 40) if LONG else (2, 10)
PAUSE_S = 30.0 if LONG else 4.0


@pytest.fixture(scope="module")
def own_cluster() -> Iterator[Cluster]:
    """A durable PostgreSQL that may die."""
    with cluster() as found:
        yield found


@pytest.fixture(scope="module")
def own_site(
    own_cluster: Cluster, upstream: FakeUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    """The platform on it."""
    with start_live(own_cluster.url, upstream, tmp_path_factory.mktemp("own")) as live:
        yield live


@pytest.fixture
def shaken(own_cluster: Cluster, own_site: Live, tmp_path: Path) -> Iterator[Fleet]:
    """A fleet on the cluster that may die."""
    if own_cluster.process is None or own_cluster.process.poll() is not None:
        own_cluster.start()
    with fleet(own_site, tmp_path) as found:
        yield found


async def insist(gateways: Fleet, key: str, org: str, stop: asyncio.Event, count: int) -> list[list[Try]]:
    """Let clients call, each until it is answered, until told to stop."""
    found: list[list[Try]] = []
    async with session() as http:

        async def client(number: int) -> None:
            while not stop.is_set():
                [call] = calls(1)
                call.stream = number % 2 == 0
                found.append(await until_answered(http, gateways.url, key, org, call, gateways.record))

        await asyncio.gather(*map(client, range(count)))
    return found


async def long_streams(gateways: Fleet, key: str, org: str, count: int, words: int) -> list[Try]:
    """Make slow streams, once, and return what clients saw of each."""
    async with session() as http:

        async def one(call: Call) -> Try:
            seen = await try_once(http, gateways.url, key, call)
            note(gateways.record, org, seen)
            return seen

        wanted = calls(count, model="fake-slow", keyed=False, words=words)
        for call in wanted:
            call.stream, call.max_tokens = True, words
        return await asyncio.gather(*map(one, wanted))


async def until_under_way(gateways: Fleet, before: int, count: int) -> None:
    """Wait until the provider has received `count` more calls."""
    received = gateways.live.upstream.received
    for _ in range(400):
        if sum(one.model == "fake-slow" for one in received[before:]) >= count:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the streams did not begin")


def test_when_all_of_postgresql_is_killed_streams_finish_and_nothing_acknowledged_is_lost(
    shaken: Fleet, own_cluster: Cluster
) -> None:
    tenant = shaken.live.tenant(balance="5")
    key, org = tenant.api_key, tenant.organization_id
    shaken.start()
    shaken.start_worker()
    away: list[float] = []

    async def disaster(stop: asyncio.Event) -> list[list[Try]]:
        streams: list[list[Try]] = []
        for _ in range(KILLS):
            before = len(shaken.live.upstream.received)
            under_way = asyncio.create_task(long_streams(shaken, key, org, 5, 40))
            await until_under_way(shaken, before, 5)
            await asyncio.to_thread(own_cluster.kill)
            await asyncio.sleep(1.8)  # the streams end in this darkness; their captures go to the spool
            streams.append(await under_way)
            await asyncio.to_thread(own_cluster.start)
            began = time.monotonic()
            async with session() as http:
                [call] = calls(1)
                await until_answered(http, shaken.url, key, org, call, shaken.record)
            away.append(time.monotonic() - began)
        stop.set()
        return streams

    async def scene() -> tuple[list[list[Try]], list[list[Try]]]:
        stop = asyncio.Event()
        load = insist(shaken, key, org, stop, CLIENTS)
        return tuple(await asyncio.gather(load, disaster(stop)))  # type: ignore[return-value]

    answers, streams = asyncio.run(scene())
    assert len(answers) > CLIENTS
    assert [seen.outcome for group in streams for seen in group] == ["answered"] * 5 * KILLS
    assert max(away) < 5
    shaken.audit("--settled", within_s=30)


def test_when_gateway_and_postgresql_die_together_the_spool_brings_what_clients_were_told(
    shaken: Fleet, own_cluster: Cluster
) -> None:
    tenant = shaken.live.tenant(balance="5")
    key, org = tenant.api_key, tenant.organization_id
    gateway = shaken.start()

    async def scene() -> list[Try]:
        before = len(shaken.live.upstream.received)
        under_way = asyncio.create_task(long_streams(shaken, key, org, 8, 30))
        await until_under_way(shaken, before, 8)
        await asyncio.to_thread(own_cluster.kill)
        return await under_way

    answered = asyncio.run(scene())
    assert [seen.outcome for seen in answered] == ["answered"] * 8
    spool = shaken.directory / "data" / "spool"
    [file] = spool.glob("*.spool")
    assert len(file.read_bytes().splitlines()) == 8  # told to the clients, and only here
    gateway.kill()
    gateway.wait(10)
    own_cluster.start()
    shaken.start()
    shaken.audit("--settled", "--all-told", within_s=15)
    assert list(spool.iterdir()) == []


def test_while_postgresql_is_paused_nobody_is_let_in_streams_finish_and_settlements_wait_on_disk(
    shaken: Fleet, own_cluster: Cluster
) -> None:
    tenant = shaken.live.tenant(balance="5")
    key, org = tenant.api_key, tenant.organization_id
    shaken.start()
    lags: list[float] = []
    refusals: list[Try] = []

    async def watch_loop(stop: asyncio.Event) -> None:
        async with session() as own:
            while not stop.is_set():
                began = time.monotonic()
                async with own.get(f"{shaken.url}/health") as response:
                    assert response.status == 200
                lags.append(time.monotonic() - began)
                await asyncio.sleep(0.05)

    async def try_to_hold(stop: asyncio.Event) -> None:
        async with session(timeout_s=6) as http:
            while not stop.is_set():
                [call] = calls(1, keyed=random.random() < 0.5)
                seen = await try_once(http, shaken.url, key, call)
                note(shaken.record, org, seen)
                refusals.append(seen)
                await asyncio.sleep(0.1)

    async def scene() -> list[Try]:
        stop = asyncio.Event()
        before = len(shaken.live.upstream.received)
        under_way = asyncio.create_task(long_streams(shaken, key, org, 6, 30))
        await until_under_way(shaken, before, 6)
        own_cluster.pause()
        try:
            watchers = [asyncio.create_task(watch_loop(stop))]
            watchers += [asyncio.create_task(try_to_hold(stop)) for _ in range(3)]
            await asyncio.sleep(PAUSE_S)
            stop.set()
            await asyncio.gather(*watchers)
            streams = await under_way
        finally:
            own_cluster.resume()
        async with session() as http:
            [call] = calls(1)
            await until_answered(http, shaken.url, key, org, call, shaken.record)
        return streams

    streams = asyncio.run(scene())
    assert [seen.outcome for seen in streams] == ["answered"] * 6
    assert len(refusals) >= 3
    # Refused, or not answered for as long as the look-up of the credential hangs: nobody is let in.
    assert {(seen.outcome, seen.status) for seen in refusals} <= {("refused", 503), ("lost", None)}
    assert {seen.code for seen in refusals} <= {"ledger_unavailable", "database_unavailable", None}
    assert sorted(lags)[int(len(lags) * 0.99) - 1] < 0.5, sorted(lags)[-5:]
    shaken.start_worker()
    shaken.audit("--settled", within_s=30)
    spool = shaken.directory / "data" / "spool"
    assert sum(file.stat().st_size for file in spool.iterdir()) == 0


def test_a_silent_postgresql_costs_a_hold_one_second_and_a_settlement_two(
    own_cluster: Cluster, tmp_path: Path
) -> None:
    if own_cluster.process is None or own_cluster.process.poll() is not None:
        own_cluster.start()
    with psycopg.connect(own_cluster.url, autocommit=True) as connection:
        org = make_org(connection, 10_000)
    boot_id = uuid7()
    spool, spool_file = Spool(tmp_path, boot_id), tmp_path / f"{boot_id}.spool"

    async def scene() -> tuple[float, float]:
        writer = LedgerWriter(own_cluster.url, AuditJournal(), boot_id, spool, hold_ttl_s=600)
        await writer.start()
        request = hold_request(org, 100)
        await writer.hold(request)
        own_cluster.pause()
        try:
            began = time.monotonic()
            with pytest.raises(LedgerUnavailable):
                await writer.hold(hold_request(org, 100))
            refused_in = time.monotonic() - began
            began = time.monotonic()
            assert await writer.capture(capture_of(request, 60)) == Captured(60, 0)
            spooled_in = time.monotonic() - began
            assert len(read_spool(spool_file).lines) == 1
        finally:
            own_cluster.resume()
        await writer.ping()
        await writer.close()
        return refused_in, spooled_in

    refused_in, spooled_in = asyncio.run(scene())
    assert refused_in < 1.5
    assert spooled_in < 2.8
    with psycopg.connect(own_cluster.url) as connection:
        wallet = connection.execute(
            "SELECT balance_nano, frozen_nano FROM wallets WHERE org_id = %s", (org,)
        ).fetchone()
    assert wallet == (9_940, 0)  # the hold that was refused was committed after all, and given back
    assert list(tmp_path.iterdir()) == []
