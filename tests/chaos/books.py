"""Wallets to play with, made straight in a database of their own, and the ledger's parts on top of it."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import psycopg

from deepspace.audit.repository import AuditJournal
from deepspace.billing.budgets import BudgetService
from deepspace.billing.invariants import CHECKS
from deepspace.billing.ledger import Capture, HoldRequest, StoredAnswer
from deepspace.billing.moves import MoneyMoves
from deepspace.billing.rates import Usage
from deepspace.billing.spool import Spool
from deepspace.billing.writer import LedgerWriter
from deepspace.kit.db import Database
from deepspace.kit.embedded_postgres import EmbeddedPostgres
from deepspace.kit.ids import uuid7
from deepspace.migrations import migrate

LONG = os.environ.get("CHAOS_LONG") == "1"
"""The long forms: the same tests with bigger numbers."""

Result = TypeVar("Result")


def fresh_database(postgres: EmbeddedPostgres, prefix: str) -> str:
    """Return the URL of a new migrated database."""
    name = f"{prefix}_{uuid.uuid4().hex[:8]}"
    postgres.create_database(name)
    url = postgres.url(name)
    migrate(url)
    return url


def make_org(connection: psycopg.Connection[Any], balance: int, credit_limit: int = 0) -> UUID:
    """Make an organisation with a funded wallet."""
    org_id = uuid7()
    connection.execute("INSERT INTO orgs (id, name) VALUES (%s, 'books')", (org_id,))
    wallet = connection.execute(
        "INSERT INTO wallets (org_id, currency, balance_nano, credit_limit_nano) VALUES (%s, 'USD', %s, %s)"
        " RETURNING id",
        (org_id, balance, credit_limit),
    ).fetchone()
    assert wallet is not None
    if balance:
        connection.execute(
            "INSERT INTO transactions (id, org_id, debit_account, credit_account, amount_nano, type, ref)"
            " VALUES (%s, %s, -2, %s, %s, 'topup', %s)",
            (uuid7(), org_id, wallet[0], balance, str(uuid7())),
        )
    return org_id


def hold_request(
    org_id: UUID, amount: int, *, reference: str | None = None, content: bytes = b"same", **other: Any
) -> HoldRequest:
    """Return a hold; a reference of the client's own if given."""
    hold_id = uuid7()
    fields: dict[str, Any] = {
        "id": hold_id,
        "org_id": org_id,
        "project_id": None,
        "user_id": None,
        "api_key_id": None,
        "billing_ref_id": reference or f"br_{hold_id.hex}",
        "trace_id": hold_id.hex,
        "request_hash": content,
        "model": "m",
        "price_id": 1,
        "amount_nano": amount,
        "ttl_s": 600.0,
        "reference_given": reference is not None,
    }
    return HoldRequest(**{**fields, **other})


def capture_of(
    request: HoldRequest, cost: int, source: Any = "reported", answer: bytes | None = None
) -> Capture:
    """Return the capture of a hold; `cost` tokens at one nano each."""
    stored = StoredAnswer(200, "application/json", answer) if answer is not None else None
    return Capture(request.org_id, request.id, Usage(output=cost), cost, source, None, (), stored)


class Bench:
    """A ledger writer, and the verbs beside it, on a database; `run` drives them."""

    def __init__(self, url: str, spool: Path) -> None:
        """Start a writer."""
        self.url = url
        self._runner = asyncio.Runner()
        self.connection = psycopg.connect(url, autocommit=True)
        self.database = Database(url, pool_size=2)
        self.moves = MoneyMoves(b"0" * 32)
        self.budgets = BudgetService()
        boot_id = uuid7()
        self.writer = LedgerWriter(url, AuditJournal(), boot_id, Spool(spool, boot_id), hold_ttl_s=600)
        self.run(self.writer.start())

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run on the bench's loop."""
        return self._runner.run(work)

    def close(self) -> None:
        """Stop everything."""
        self.run(self.writer.close())
        self.run(self.database.close())
        self._runner.close()
        self.connection.close()


@contextmanager
def open_bench(url: str, spool: Path) -> Iterator[Bench]:
    """Lend a bench."""
    bench = Bench(url, spool)
    try:
        yield bench
    finally:
        bench.close()


def broken_invariants(url: str) -> dict[str, int]:
    """Return the platform's own invariants that do not hold, with how many rows break each."""
    with psycopg.connect(url) as connection:
        counts = {check.name: connection.execute(check.sql.encode()).fetchone() for check in CHECKS}
    return {name: row[0] for name, row in counts.items() if row is not None and row[0]}
