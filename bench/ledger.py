"""The ledger alone: pairs of hold and capture, with usage and audit rows, on a durable PostgreSQL.

`batched` drives the ledger writer with many clients in one process, as a gateway does. `unbatched` runs the
single-operation statements, one transaction each, for comparison.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import UUID

import asyncpg
import uvloop

from bench.measure import Options, cpu_seconds, percentile_ms, say
from bench.stack import postgres_server
from deepspace.audit.entry import AuditEntry
from deepspace.audit.repository import AuditJournal
from deepspace.billing import single
from deepspace.billing.invariants import CHECKS
from deepspace.billing.ledger import Capture, HoldRequest
from deepspace.billing.rates import Usage
from deepspace.billing.spool import Spool
from deepspace.billing.writer import LedgerWriter
from deepspace.kit.collector import relax_collector
from deepspace.kit.db import Database
from deepspace.kit.ids import uuid7
from deepspace.migrations import migrate

WALLETS = 200
BATCHED = ((1, 1), (8, 1), (64, 1), (256, 1), (256, WALLETS), (512, WALLETS))
UNBATCHED = ((64, 1), (64, WALLETS))
HELD, COST = 1_000, 900
DETAIL = '{"timeline": [], "attempts": []}'

Pair = Callable[[UUID], Awaitable[None]]


def run(options: Options) -> dict[str, object]:
    """Measure every point and check the books at the end."""
    with tempfile.TemporaryDirectory(prefix="deepspace-bench-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        with postgres_server(directory) as (postgres, pid):
            postgres.create_database("ledger")
            url = postgres.url("ledger")
            migrate(url)
            return uvloop.run(_measure(url, pid, directory, options))


async def _measure(url: str, pid: int, directory: Path, options: Options) -> dict[str, object]:
    orgs = await _furnish(url)
    boot_id = uuid7()
    writer = LedgerWriter(url, AuditJournal(), boot_id, Spool(directory / "spool", boot_id), hold_ttl_s=120)
    await writer.start()
    relax_collector()  # as the gateway does
    batched: list[dict[str, object]] = []
    for clients, wallets in BATCHED:
        say(f"ledger: batched, {clients} clients, {wallets} wallets")
        before = (writer.batches, writer.operations)
        point = await _point(_batched(writer), orgs[:wallets], clients, pid, options.seconds)
        batches = writer.batches - before[0]
        batched.append(
            {**point, "operations_per_batch": round((writer.operations - before[1]) / max(1, batches), 1)}
        )
    await writer.close()
    unbatched: list[dict[str, object]] = []
    pool = await asyncpg.create_pool(url, min_size=8, max_size=8)
    for clients, wallets in UNBATCHED:
        say(f"ledger: one transaction each, {clients} clients, {wallets} wallets")
        unbatched.append(await _point(_unbatched(pool), orgs[:wallets], clients, pid, options.seconds))
    await pool.close()
    broken = await _broken(url)
    return {"ok": not broken, "broken_invariants": broken, "batched": batched, "unbatched": unbatched}


async def _point(pair: Pair, orgs: list[UUID], clients: int, pid: int, seconds: float) -> dict[str, object]:
    latencies: list[int] = []
    end = time.perf_counter() + seconds

    async def client(number: int) -> None:
        org_id = orgs[number % len(orgs)]
        while time.perf_counter() < end:
            start = time.perf_counter_ns()
            await pair(org_id)
            latencies.append(time.perf_counter_ns() - start)

    postgres, python = cpu_seconds(pid), cpu_seconds(os.getpid())
    start = time.perf_counter()
    await asyncio.gather(*(client(number) for number in range(clients)))
    elapsed = time.perf_counter() - start
    pairs = len(latencies)
    # This process has no child here that is not PostgreSQL's, so the two figures do not overlap.
    postgres_s = cpu_seconds(pid) - postgres
    python_s = cpu_seconds(os.getpid()) - python - postgres_s
    return {
        "clients": clients,
        "wallets": len(orgs),
        "pairs_per_s": round(pairs / elapsed),
        "p50_ms": percentile_ms(sorted(latencies), 0.5),
        "p99_ms": percentile_ms(sorted(latencies), 0.99),
        "python_cpu_us": round(python_s / pairs * 1e6),
        "postgres_cpu_us": round(postgres_s / pairs * 1e6),
    }


def _hold(org_id: UUID) -> HoldRequest:
    hold_id = uuid7()
    return HoldRequest(
        hold_id, org_id, None, None, None, hold_id.hex, hold_id.hex, b"\0" * 32, "bench", 1, HELD, 120
    )


def _capture(org_id: UUID, hold_id: UUID) -> Capture:
    row = AuditEntry(uuid7(), org_id, "call.captured", hold_id.hex, "api_key", None, DETAIL)
    return Capture(org_id, hold_id, Usage(input=10, output=10), COST, "reported", None, (row,))


def _batched(writer: LedgerWriter) -> Pair:
    async def pair(org_id: UUID) -> None:
        hold = _hold(org_id)
        await writer.hold(hold)
        await writer.capture(_capture(org_id, hold.id))

    return pair


def _unbatched(pool: asyncpg.Pool) -> Pair:
    journal, boot_id = AuditJournal(), uuid7()

    async def pair(org_id: UUID) -> None:
        hold = _hold(org_id)
        capture = _capture(org_id, hold.id)
        async with pool.acquire() as connection:
            if not await single.hold(connection, hold, boot_id):
                raise RuntimeError("the hold was refused")
        async with pool.acquire() as connection, connection.transaction():
            if await single.capture(connection, capture) is None:
                raise RuntimeError("the capture was refused")
            await journal.append(connection, capture.journal)

    return pair


async def _furnish(url: str) -> list[UUID]:
    connection = await asyncpg.connect(url)
    orgs = [uuid7() for _ in range(WALLETS)]
    await connection.execute(
        "INSERT INTO prices (model, currency, valid, rates) VALUES ('bench', 'USD', '[2020-01-01,)', '{}')"
    )
    await connection.executemany("INSERT INTO orgs (id, name) VALUES ($1, 'bench')", [(org,) for org in orgs])
    await connection.executemany(
        "INSERT INTO wallets (org_id, currency) VALUES ($1, 'USD')", [(org,) for org in orgs]
    )
    await connection.execute(
        "INSERT INTO transactions (id, org_id, debit_account, credit_account, amount_nano, type, ref) "
        "SELECT gen_random_uuid(), org_id, -2, id, 1000000000000000, 'topup', org_id::text FROM wallets"
    )
    await connection.execute("UPDATE wallets SET balance_nano = 1000000000000000")
    await connection.close()
    return orgs


async def _broken(url: str) -> list[str]:
    database = Database(url)
    async with database.platform() as tx:
        broken = [check.name for check in CHECKS if await check.count(tx)]
    await database.close()
    return broken
