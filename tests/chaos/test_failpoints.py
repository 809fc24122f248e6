"""F2: the gateway dies at each point of the crash contract, for JSON and streams, with and without a retry.

docs/billing.md publishes the table. Every death happens first; then one healthy gateway and one worker take
over, and each case is held against its row.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from deepspace.kit.failpoints import EXIT_CODE, POINTS
from deepspace.testing.fake_upstream import Received
from tests.chaos.site import Call, Fleet, Try, calls, fleet, note, session, try_once, until_answered
from tests.support.live import Live, Tenant

pytestmark = pytest.mark.timeout(170)

DELIVERED = "checkpoint"
"""A stream that dies after a checkpoint was written: it is charged for what was delivered."""


@dataclass(frozen=True)
class Row:
    """A row of the table: what is true after the death, and what a retry meets."""

    held: bool
    sent: bool
    end: str
    retry: str


TABLE = {
    "hold.before_commit": Row(held=False, sent=False, end="none", retry="new"),
    "hold.after_commit": Row(held=True, sent=False, end="expired", retry="new"),
    "call.before_send": Row(held=True, sent=False, end="expired", retry="new"),
    "call.after_head": Row(held=True, sent=True, end="expired", retry="new"),
    "settle.before_commit": Row(held=True, sent=True, end="expired", retry="new"),
    "settle.after_commit": Row(held=True, sent=True, end="captured", retry="replay"),
    DELIVERED: Row(held=True, sent=True, end="captured", retry="answer_not_kept"),
}


@dataclass
class Case:
    """One death."""

    point: str
    call: Call
    retry: bool
    tenant: Tenant
    fleet: Fleet
    tried: Try | None = None

    @property
    def name(self) -> str:
        return (
            f"{self.point}, {'stream' if self.call.stream else 'JSON'}, {'retry' if self.retry else 'none'}"
        )


def test_every_point_has_a_row_in_the_table() -> None:
    assert set(TABLE) - {DELIVERED} | {"sweep.before_settle"} == POINTS


def died(case: Case) -> None:
    """Have a gateway of its own die at the case's point."""
    point = "settle.before_commit" if case.point == DELIVERED else case.point
    process = case.fleet.fork(FAILPOINTS=point)

    async def once() -> Try:
        async with session() as http:
            return await try_once(http, case.fleet.url, case.tenant.api_key, case.call)

    case.tried = asyncio.run(once())
    assert process.wait(20) == EXIT_CODE, case.name
    note(case.fleet.record, case.tenant.organization_id, case.tried)


def holds_of(live: Live, case: Case) -> list[dict[str, Any]]:
    """Return the holds of a case, oldest first."""
    with psycopg.connect(live.database_url, row_factory=psycopg.rows.dict_row) as connection:
        return connection.execute(
            "SELECT h.*, u.source, u.output_tokens FROM holds h LEFT JOIN usage_records u ON u.hold_id = h.id"
            " WHERE h.org_id = %s ORDER BY h.created_at",
            (case.tenant.organization_id,),
        ).fetchall()


def sent(live: Live, case: Case) -> list[Received]:
    """Return what the provider received of a case."""
    return live.upstream.of_prompt(case.call.text.split()[0])


@contextmanager
def cases_of(site: Live, directory: Path) -> Iterator[list[Case]]:
    """Make every case, each with an organisation and a socket of its own."""
    found: list[Case] = []
    fleets = []
    for point in TABLE:
        for stream in (False, True):
            for retry in (False, True):
                if point == DELIVERED and not stream:
                    continue
                place = directory / f"{len(found)}"
                place.mkdir()
                fleets.append(fleet(site, place))
                slow = point == DELIVERED
                [call] = calls(1, model="fake-slow" if slow else "fake-echo", words=60 if slow else 5)
                call.stream, call.max_tokens = stream, 80
                found.append(Case(point, call, retry, site.tenant(balance="1"), fleets[-1].__enter__()))
    try:
        yield found
    finally:
        for one in fleets:
            one.__exit__(None, None, None)


def test_after_a_death_at_any_point_the_table_of_the_crash_contract_holds(
    site: Live, gateways: Fleet, tmp_path: Path
) -> None:
    with cases_of(site, tmp_path) as cases:
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(died, cases))
        for case in cases:
            after_the_death(site, case)
        gateways.start()
        # A worker that dies in the middle of sweeping leaves everything to the next one.
        sweeper = gateways.start_worker(FAILPOINTS="sweep.before_settle:2")
        assert sweeper.wait(30) == EXIT_CODE
        gateways.start_worker()
        asyncio.run(take_over(gateways, [case for case in cases if case.retry]))
        with gateways.record.open("a") as record:
            record.writelines(case.fleet.record.read_text() for case in cases)
        gateways.audit("--settled")
        for case in cases:
            in_the_end(site, case)


def after_the_death(live: Live, case: Case) -> None:
    """Hold the books against the row, before anybody recovers anything."""
    row, holds = TABLE[case.point], holds_of(live, case)
    assert case.tried is not None
    assert case.tried.outcome == "lost", case.name
    assert not case.tried.body.endswith(b"[DONE]\n\n"), case.name
    assert len(holds) == row.held, case.name
    assert len(sent(live, case)) == row.sent, case.name
    if row.held:
        state = "captured" if case.point == "settle.after_commit" else "held"
        assert holds[0]["state"] == state, case.name


async def take_over(gateways: Fleet, cases: list[Case]) -> None:
    """Try every case again under its reference, on the healthy gateway."""
    async with session() as http:

        async def again(case: Case) -> None:
            first = await try_once(http, gateways.url, case.tenant.api_key, case.call)
            row = TABLE[case.point]
            if row.held and case.point != "settle.after_commit" and first.code != "answer_not_kept":
                swept = (first.outcome, row.retry) == ("answered", "new")
                assert swept or first.code == "call_in_progress", (case.name, first)
            tries = await until_answered(
                http,
                gateways.url,
                case.tenant.api_key,
                case.tenant.organization_id,
                case.call,
                gateways.record,
            )
            last = tries[-1]
            if row.retry == "answer_not_kept":
                assert (last.status, last.code) == (409, "answer_not_kept"), (case.name, last)
            else:
                assert last.outcome == "answered", (case.name, last)
                assert last.text.split() == case.call.text.split(), case.name
            if row.retry == "replay":
                assert last.replayed, case.name

        await asyncio.gather(*map(again, cases))


def in_the_end(live: Live, case: Case) -> None:
    """Hold the books against the row once everything is settled."""
    row, holds = TABLE[case.point], holds_of(live, case)
    states = [hold["state"] for hold in holds]
    first = [] if row.end == "none" else [row.end]
    again = ["captured"] if case.retry and row.retry == "new" else []
    assert states == first + again, (case.name, states)
    assert len(sent(live, case)) == row.sent + len(again), case.name
    if case.point == DELIVERED:
        assert case.tried is not None
        assert holds[0]["source"] == "checkpoint"
        assert 0 < holds[0]["output_tokens"] <= -(-len(case.tried.text) // 4), (
            "charged beyond what was delivered"
        )
