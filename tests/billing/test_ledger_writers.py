"""Several ledger writers on the same wallets: nothing is spent twice, nothing is lost, budgets are exact."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from msgspec.structs import replace

from deepspace.audit.repository import AuditJournal
from deepspace.billing import spooling
from deepspace.billing.errors import BudgetExceeded, CallInProgress, InsufficientFunds, LedgerUnavailable
from deepspace.billing.ledger import HoldRequest, Release, Replay
from deepspace.billing.rates import Usage
from deepspace.billing.spool import Spool
from deepspace.billing.writer import LedgerWriter
from deepspace.kit.embedded_postgres import EmbeddedPostgres
from deepspace.kit.ids import uuid7
from tests.chaos.books import LONG, broken_invariants, capture_of, fresh_database, hold_request, make_org

WALLETS, RACERS, K = (50, 1000, 5) if LONG else (50, 200, 5)
AMOUNT = 1000


@pytest.fixture
def url(postgres: EmbeddedPostgres) -> str:
    """A database of this test's own."""
    return fresh_database(postgres, "writers")


@asynccontextmanager
async def writers(url: str, spool: Path, count: int = 2) -> AsyncIterator[list[LedgerWriter]]:
    """Lend started writers, as of as many gateway processes."""
    found: list[LedgerWriter] = []
    for _ in range(count):
        boot_id = uuid7()
        writer = LedgerWriter(url, AuditJournal(), boot_id, Spool(spool, boot_id), hold_ttl_s=600)
        await writer.start()
        found.append(writer)
    try:
        yield found
    finally:
        for writer in found:
            await writer.close()


async def attempt(writer: LedgerWriter, request: HoldRequest) -> str:
    """Try to hold; patient with a queue that is full or slow."""
    while True:
        try:
            found = await writer.hold(request)
        except InsufficientFunds:
            return "insufficient_funds"
        except BudgetExceeded:
            return "budget_exceeded"
        except CallInProgress:
            return "call_in_progress"
        return "replay" if isinstance(found, Replay) else "held"


async def race(url: str, spool: Path, requests: list[HoldRequest]) -> list[tuple[HoldRequest, str]]:
    """Let every request race over two writers, 400 at a time, and return who won."""
    gate = asyncio.Semaphore(400)
    async with writers(url, spool) as both:

        async def one(number: int, request: HoldRequest) -> tuple[HoldRequest, str]:
            async with gate:
                return request, await attempt(both[number % 2], request)

        return await asyncio.gather(*(one(number, request) for number, request in enumerate(requests)))


def totals(url: str, org_ids: list[UUID]) -> list[tuple[int, int]]:
    """Return balance and frozen of each wallet."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT balance_nano, frozen_nano FROM wallets WHERE org_id = ANY(%s)", (org_ids,)
        )
        return [(row[0], row[1]) for row in rows.fetchall()]


def test_wallets_with_funds_for_k_calls_admit_exactly_k_of_all_racers(url: str, tmp_path: Path) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        orgs = [make_org(connection, AMOUNT * K + AMOUNT - 1) for _ in range(WALLETS)]
    requests = [hold_request(org, AMOUNT) for _ in range(RACERS // 10) for org in orgs]
    random.Random(7).shuffle(requests)
    outcomes = asyncio.run(race(url, tmp_path, requests))
    won = Counter(request.org_id for request, outcome in outcomes if outcome == "held")
    assert won == dict.fromkeys(orgs, K)
    assert {outcome for _, outcome in outcomes} == {"held", "insufficient_funds"}
    assert totals(url, orgs) == [(AMOUNT * K + AMOUNT - 1, AMOUNT * K)] * WALLETS
    assert broken_invariants(url) == {}


@pytest.mark.parametrize("period", ["day", "month", "total"])
def test_a_budget_for_k_calls_admits_exactly_k_of_all_racers(url: str, tmp_path: Path, period: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        org = make_org(connection, AMOUNT * RACERS)
        row = connection.execute(
            "INSERT INTO budgets (org_id, scope, scope_id, period, limit_nano)"
            " VALUES (%s, 'organization', %s, %s, %s) RETURNING id",
            (org, org, period, AMOUNT * K + 1),
        ).fetchone()
    assert row is not None
    requests = [hold_request(org, AMOUNT, budget_ids=(row[0],)) for _ in range(RACERS)]
    outcomes = Counter(outcome for _, outcome in asyncio.run(race(url, tmp_path, requests)))
    assert outcomes == {"held": K, "budget_exceeded": RACERS - K}
    assert totals(url, [org]) == [(AMOUNT * RACERS, AMOUNT * K)]
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT held_nano, spent_nano FROM budget_counters").fetchall() == [
            (AMOUNT * K, 0)
        ]


def test_one_reference_is_held_once_however_many_ask(url: str, tmp_path: Path) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        orgs = [make_org(connection, AMOUNT * RACERS) for _ in range(2)]
    requests = [hold_request(org, AMOUNT, reference="once") for _ in range(100) for org in orgs]
    outcomes = asyncio.run(race(url, tmp_path, requests))
    held = Counter(request.org_id for request, outcome in outcomes if outcome == "held")
    assert held == dict.fromkeys(orgs, 1)
    assert {outcome for _, outcome in outcomes} == {"held", "call_in_progress"}


async def _customer(
    pair: list[LedgerWriter], orgs: list[UUID], budget: int, seed: int, record: dict[UUID, int]
) -> int:
    """Make calls at random wallets; note what each was told it paid. Returns the refusals."""
    chance, refused = random.Random(seed), 0
    for _ in range(40 if LONG else 12):
        org = chance.choice(orgs)
        writer = chance.choice(pair)
        budgets: tuple[int, ...] = (budget,) if org == orgs[0] else ()
        reference = f"r{seed}-{chance.randrange(6)}" if chance.random() < 0.4 else None
        request = hold_request(org, chance.randint(1, 900), reference=reference, budget_ids=budgets)
        outcome = await attempt(writer, request)
        if outcome != "held":
            refused += 1
        elif chance.random() < 0.2:
            await chance.choice(pair).release(Release(org, request.id))
        else:
            cost = chance.randint(0, request.amount_nano + 50)
            done = await chance.choice(pair).capture(capture_of(request, cost, answer=b"{}"))
            assert done.captured_nano + done.absorbed_nano == cost
            record[request.id] = done.captured_nano
    return refused


def test_many_customers_of_two_writers_pay_exactly_what_they_were_told(url: str, tmp_path: Path) -> None:
    start = 20_000
    with psycopg.connect(url, autocommit=True) as connection:
        orgs = [make_org(connection, start) for _ in range(5)]
        row = connection.execute(
            "INSERT INTO budgets (org_id, scope, scope_id, period, limit_nano)"
            " VALUES (%s, 'organization', %s, 'total', 6000) RETURNING id",
            (orgs[0], orgs[0]),
        ).fetchone()
    assert row is not None
    record: dict[UUID, int] = {}

    async def bank() -> list[int]:
        async with writers(url, tmp_path) as pair:
            customers = (_customer(pair, orgs, row[0], seed, record) for seed in range(60))
            return await asyncio.gather(*customers)

    assert sum(asyncio.run(bank())) > 0  # money ran out somewhere: the limits were reached
    figures: list[Any] = totals(url, orgs)
    assert sum(balance for balance, _ in figures) == start * 5 - sum(record.values())
    assert all(frozen == 0 and balance >= 0 for balance, frozen in figures)
    with psycopg.connect(url) as connection:
        captured = dict(connection.execute("SELECT id, captured_nano FROM holds WHERE state = 'captured'"))
        held, spent = connection.execute("SELECT held_nano, spent_nano FROM budget_counters").fetchone() or ()
        of_first = connection.execute(
            "SELECT coalesce(sum(captured_nano), 0) FROM holds WHERE org_id = %s", (orgs[0],)
        ).fetchone()
    assert captured == record
    assert (held, (spent,)) == (0, of_first)
    assert broken_invariants(url) == {}


class SlowSpool(Spool):
    """A spool on a slow disk."""

    def append(self, line: str) -> None:
        """Write a line, and take a while before it returns."""
        super().append(line)
        time.sleep(0.4)


def test_a_line_that_is_being_written_is_not_cleared_away_with_those_before_it(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its client is told that the settlement is durable; so it is on disk until the database has it."""
    with psycopg.connect(url, autocommit=True) as connection:
        org = make_org(connection, 10_000)
    spool = SlowSpool(tmp_path, uuid7())
    monkeypatch.setattr("deepspace.billing.writer.SPOOL_AFTER_S", 0.0)
    monkeypatch.setattr("deepspace.billing.writer.MAX_BATCH", 1)

    async def scene() -> None:
        writer = LedgerWriter(url, AuditJournal(), uuid7(), spool, hold_ttl_s=600)
        await writer.start()
        requests = [hold_request(org, 100) for _ in range(2)]
        for request in requests:
            await writer.hold(request)
        with psycopg.connect(url) as lock:
            lock.execute("SELECT 1 FROM wallets FOR UPDATE")
            tasks = [asyncio.create_task(writer.capture(capture_of(request, 50))) for request in requests]
            await asyncio.sleep(0.9)  # the first line is written, the second is being written
        await asyncio.gather(*tasks)
        await asyncio.sleep(0.6)
        await writer.close()

    asyncio.run(scene())
    assert totals(url, [org]) == [(9900, 0)]
    assert list(tmp_path.iterdir()) == []  # and once the database has all, nothing is left behind


def test_a_settlement_that_no_database_will_take_is_set_aside_and_stops_no_other(
    url: str, tmp_path: Path
) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        org = make_org(connection, 10_000)
    requests = [hold_request(org, 100) for _ in range(2)]

    async def hold() -> None:
        async with writers(url, tmp_path, 1) as [writer]:
            for request in requests:
                await writer.hold(request)

    asyncio.run(hold())
    dead = Spool(tmp_path, uuid7())
    dead.append('{"op": "capture", "of": "another version"}')
    for request, cost in zip(requests, (2**63 - 1, 70), strict=True):
        usage = capture_of(request, cost)
        dead.append(
            spooling.encode(replace(usage, usage=Usage(output=2**70 if cost > 99 else 1)), AuditJournal())
        )
    assert dead._descriptor is not None
    os.close(dead._descriptor)

    async def adopt() -> None:
        async with writers(url, tmp_path, 1):
            await asyncio.sleep(0.5)

    asyncio.run(adopt())
    assert totals(url, [org]) == [(9930, 100)]
    assert [path.suffix for path in tmp_path.iterdir()] == [".damaged"]


@pytest.mark.parametrize("count", [1, 3])
def test_a_hold_that_is_committed_after_its_caller_was_refused_goes_back_and_says_so(
    url: str, tmp_path: Path, count: int
) -> None:
    """A lone hold and a batch of them go different ways to the database."""
    with psycopg.connect(url, autocommit=True) as connection:
        org = make_org(connection, 10_000)
    requests = [hold_request(org, 100) for _ in range(count)]

    async def scene() -> None:
        async with writers(url, tmp_path, 1) as [writer]:
            with psycopg.connect(url) as lock:
                lock.execute("SELECT 1 FROM wallets FOR UPDATE")
                late = await asyncio.gather(
                    *(writer.hold(request) for request in requests), return_exceptions=True
                )
                assert [type(outcome) for outcome in late] == [LedgerUnavailable] * count
            await writer.hold(hold_request(org, 7))  # it is decided after the late ones were

    asyncio.run(scene())
    assert totals(url, [org]) == [(10_000, 7)]
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT detail->>'hold_id', trace_id, event, actor_kind FROM audit_logs"
        ).fetchall()
    assert sorted(rows) == sorted(
        (str(request.id), request.trace_id, "call.released", "ledger") for request in requests
    )
    assert broken_invariants(url) == {}
