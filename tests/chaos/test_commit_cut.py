"""F5: the connection to PostgreSQL breaks exactly at COMMIT. What became of it is asked, never guessed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from msgspec.structs import replace

from deepspace.audit.entry import AuditEntry
from deepspace.audit.repository import AuditJournal
from deepspace.billing.errors import CallInProgress, LedgerUnavailable
from deepspace.billing.ledger import Captured, Release, Replay
from deepspace.billing.spool import Spool
from deepspace.billing.writer import LedgerWriter
from deepspace.kit.embedded_postgres import EmbeddedPostgres
from deepspace.kit.ids import uuid7
from tests.chaos.books import LONG, broken_invariants, capture_of, fresh_database, hold_request, make_org
from tests.chaos.proxy import CuttingProxy, Moment

MOMENTS = ["before", "after"]
ROUNDS = 40 if LONG else 2


@pytest.fixture(scope="module")
def url(postgres: EmbeddedPostgres) -> str:
    """A database of these tests' own."""
    return fresh_database(postgres, "cut")


@pytest.fixture
def org(url: str) -> UUID:
    """An organisation with funds."""
    with psycopg.connect(url, autocommit=True) as connection:
        return make_org(connection, 100_000)


@asynccontextmanager
async def behind_a_proxy(
    postgres: EmbeddedPostgres, url: str, spool: Path
) -> AsyncIterator[tuple[LedgerWriter, CuttingProxy]]:
    """Lend a ledger writer whose connection goes through the proxy."""
    database = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
    async with CuttingProxy(postgres.socket_dir) as proxy:
        boot_id = uuid7()
        spooled = Spool(spool, boot_id)
        writer = LedgerWriter(proxy.url(str(database)), AuditJournal(), boot_id, spooled, hold_ttl_s=600)
        await writer.start()
        try:
            yield writer, proxy
        finally:
            await writer.close()


def books_of(url: str, org: UUID) -> dict[str, Any]:
    """Return what the database says of an organisation."""
    with psycopg.connect(url) as connection:
        balance = connection.execute(
            "SELECT balance_nano, frozen_nano FROM wallets WHERE org_id = %s", (org,)
        ).fetchone()
        states = connection.execute(
            "SELECT state FROM holds WHERE org_id = %s ORDER BY id", (org,)
        ).fetchall()
        audits = connection.execute("SELECT count(*) FROM audit_logs WHERE org_id = %s", (org,)).fetchone()
    assert balance is not None
    assert audits is not None
    return {"wallet": balance, "states": [state for (state,) in states], "audits": audits[0]}


def row(org: UUID) -> AuditEntry:
    """Return an audit row."""
    return AuditEntry(uuid7(), org, "call.captured", None, "test", None, "{}")


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("kept", [None, b"answer"])
async def test_a_capture_whose_commit_is_cut_is_booked_once_and_told_as_it_is(
    postgres: EmbeddedPostgres, url: str, tmp_path: Path, org: UUID, moment: Moment, kept: bytes | None
) -> None:
    async with behind_a_proxy(postgres, url, tmp_path) as (writer, proxy):
        for count in range(1, ROUNDS + 1):
            request = hold_request(org, 100)
            await writer.hold(request)
            proxy.arm(moment, b"COMMIT\0")
            capture = replace(capture_of(request, 60, answer=kept), journal=(row(org),))
            assert await writer.capture(capture) == Captured(60, 0)
            assert proxy.cuts == count
    assert books_of(url, org) == {
        "wallet": (100_000 - 60 * ROUNDS, 0),
        "states": ["captured"] * ROUNDS,
        "audits": ROUNDS,
    }
    assert broken_invariants(url) == {}


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_release_whose_commit_is_cut_happens_once(
    postgres: EmbeddedPostgres, url: str, tmp_path: Path, org: UUID, moment: Moment
) -> None:
    async with behind_a_proxy(postgres, url, tmp_path) as (writer, proxy):
        request = hold_request(org, 100)
        await writer.hold(request)
        proxy.arm(moment, b"COMMIT\0")
        await writer.release(Release(org, request.id, (row(org),)))
        assert proxy.cuts == 1
    assert books_of(url, org) == {"wallet": (100_000, 0), "states": ["released"], "audits": 1}


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_hold_with_a_reference_whose_commit_is_cut_stands_once(
    postgres: EmbeddedPostgres, url: str, tmp_path: Path, org: UUID, moment: Moment
) -> None:
    async with behind_a_proxy(postgres, url, tmp_path) as (writer, proxy):
        request = hold_request(org, 100, reference="cut")
        proxy.arm(moment, b"COMMIT\0")
        assert await writer.hold(request) is None
        assert proxy.cuts == 1
        with pytest.raises(CallInProgress):
            await writer.hold(hold_request(org, 100, reference="cut"))
        await writer.capture(capture_of(request, 30, answer=b"x"))
        assert isinstance(await writer.hold(hold_request(org, 100, reference="cut")), Replay)
    assert books_of(url, org) == {"wallet": (99_970, 0), "states": ["captured"], "audits": 0}


@pytest.mark.parametrize("moment", MOMENTS)
async def test_nobody_is_told_of_a_lone_hold_whose_answer_was_lost(
    postgres: EmbeddedPostgres, url: str, tmp_path: Path, org: UUID, moment: Moment
) -> None:
    """A statement of its own has no COMMIT to ask about: its caller is refused, and the sweeper ends it."""
    async with behind_a_proxy(postgres, url, tmp_path) as (writer, proxy):
        await writer.ping()
        request = hold_request(org, 100)
        proxy.arm(moment, request.billing_ref_id.encode())
        with pytest.raises(LedgerUnavailable):
            await writer.hold(request)
        assert proxy.cuts == 1
        for _ in range(50):
            try:
                await writer.hold(hold_request(org, 100))
                break
            except LedgerUnavailable:
                await asyncio.sleep(0.05)
    stands = 1 if moment == "after" else 0
    books = books_of(url, org)
    assert books["states"] == ["held"] * (stands + 1)
    assert books["wallet"] == (100_000, 100 * (stands + 1))
    assert broken_invariants(url) == {}


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_whole_batch_whose_commit_is_cut_is_told_what_happened_to_each(
    postgres: EmbeddedPostgres, url: str, tmp_path: Path, org: UUID, moment: Moment
) -> None:
    async with behind_a_proxy(postgres, url, tmp_path) as (writer, proxy):
        requests = [hold_request(org, 100, reference=f"batch-{number}") for number in range(40)]
        proxy.arm(moment, b"COMMIT\0")
        assert await asyncio.gather(*map(writer.hold, requests)) == [None] * 40
        proxy.arm(moment, b"COMMIT\0")
        ends = [writer.capture(capture_of(request, 1 + number)) for number, request in enumerate(requests)]
        assert await asyncio.gather(*ends) == [Captured(1 + number, 0) for number in range(40)]
        assert proxy.cuts == 2
    books = books_of(url, org)
    assert books["wallet"] == (100_000 - 820, 0)
    assert books["states"] == ["captured"] * 40
    assert broken_invariants(url) == {}


async def test_an_operation_with_a_value_no_column_takes_is_refused_and_stops_no_other(
    postgres: EmbeddedPostgres, url: str, tmp_path: Path, org: UUID
) -> None:
    """A provider that reports an absurd number of tokens must not take the books away from everybody."""
    async with behind_a_proxy(postgres, url, tmp_path) as (writer, _):
        odd, plain = hold_request(org, 100), hold_request(org, 100)
        await writer.hold(odd)
        await writer.hold(plain)
        ends = [writer.capture(capture_of(odd, 2**70)), writer.capture(capture_of(plain, 5))]
        refused, captured = await asyncio.gather(*ends, return_exceptions=True)
        assert isinstance(refused, LedgerUnavailable)
        assert captured == Captured(5, 0)
        with pytest.raises(LedgerUnavailable):
            await writer.capture(capture_of(odd, 2**70))
        await writer.hold(hold_request(org, 100))
    assert books_of(url, org)["wallet"] == (99_995, 200)
