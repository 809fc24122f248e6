"""The books under a database owner whom row-level security binds, as on a PostgreSQL of one's own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from deepspace.audit.repository import AuditJournal
from deepspace.billing.spool import Spool
from deepspace.billing.writer import LedgerWriter
from deepspace.kit.bulk import COPY_FROM
from deepspace.kit.embedded_postgres import EmbeddedPostgres
from deepspace.kit.ids import uuid7
from deepspace.migrations import migrate
from tests.chaos.books import broken_invariants, capture_of, fresh_database, hold_request, make_org


@pytest.fixture
def owned(postgres: EmbeddedPostgres, worker_id: str) -> Iterator[str]:
    """A migrated database of a plain owner: no superuser, no BYPASSRLS, no CREATEROLE."""
    fresh_database(postgres, "roles")  # the two roles of the platform are the server's: they are there now
    name, role = f"bound_{worker_id}", f"bound_owner_{worker_id}"  # roles are the server's, so one a worker
    owner = sql.Identifier(role)
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone():
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(owner))
            connection.execute(sql.SQL("GRANT deepspace_tenant, deepspace_platform TO {}").format(owner))
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), owner))
    url = postgres.url(name, role)
    migrate(url)
    yield url
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.mark.parametrize("bound", [True, False], ids=["bound owner", "superuser"])
async def test_a_large_batch_is_one_transaction_for_every_kind_of_owner(
    bound: bool, postgres: EmbeddedPostgres, owned: str, tmp_path: Path
) -> None:
    url = owned if bound else fresh_database(postgres, "unbound")
    with psycopg.connect(url) as connection:
        org = make_org(connection, 1_000_000)
    boot_id = uuid7()
    writer = LedgerWriter(url, AuditJournal(), boot_id, Spool(tmp_path, boot_id), hold_ttl_s=600)
    await writer.start()
    count = COPY_FROM * 4
    holds = [hold_request(org, 100) for _ in range(count)]
    await writer.ping()
    before = writer.batches
    await asyncio.gather(*(writer.hold(hold) for hold in holds))
    await asyncio.gather(*(writer.capture(capture_of(hold, 90)) for hold in holds))
    batches = writer.batches - before
    await writer.close()
    # One for the first to come, one for those that waited meanwhile, of each kind; never one by one.
    assert batches <= 6
    assert broken_invariants(url) == {}
    with psycopg.connect(url) as connection:
        connection.execute("SET ROLE deepspace_platform")
        [captured] = connection.execute("SELECT sum(captured_nano) FROM holds").fetchone() or [None]
    assert captured == 90 * count
