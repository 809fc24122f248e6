"""PostgreSQL: the management plane's engine and transactions.

Services take a transaction and never commit; the edge (endpoint, job, command) opens it, and says whose rows
it may see: `Database.tenant(org_id)` sees one organisation's and no secrets, `Database.platform()` sees all.
The database enforces both (row-level security, docs/tenancy.md), so a query that forgets its filter finds
nothing of another tenant. Both commit when the block ends and roll back when it raises.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from psycopg.abc import Buffer
from psycopg.adapt import Loader
from sqlalchemy import MetaData, Row, event, text
from sqlalchemy.exc import DataError, DisconnectionError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.orm import DeclarativeBase

from deepspace.kit.errors import Conflict, DatabaseUnavailable, ValidationFailed
from deepspace.kit.ids import fast_uuid

NAMING = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

Transaction = AsyncConnection
"""An open transaction: what services take and repositories run their statements on."""


Record = Row[*tuple[Any, ...]]
"""A row as a repository returns it, with columns as attributes."""


TENANT_ROLE = "deepspace_tenant"
PLATFORM_ROLE = "deepspace_platform"
"""Roles of the database, made by the migration `tenancy`; nobody signs in with them."""

_ENTER = text("SELECT set_config('role', :role, true), set_config('app.org_id', :org_id, true)")

IDLE_S = 1.0

_LOST_RACE = frozenset({"23503", "23505"})
"""What was referred to is gone, or what was to be made is there (PostgreSQL, appendix A): both were looked at
before, so somebody else was faster. Other broken constraints are faults of ours."""

_AWAY = (OperationalError, InterfaceError, PoolTimeout)


class Table(DeclarativeBase):
    """The registry of every slice's tables."""

    metadata = MetaData(naming_convention=NAMING)


class _UuidLoader(Loader):
    """UUIDs of the rows as fast ones (kit/ids.py): they are keys of the caches that every call asks."""

    def load(self, data: Buffer) -> UUID:
        """Read a UUID from its text."""
        return fast_uuid(bytes(data).decode())


def sqlalchemy_url(url: str) -> str:
    """Return `url` (postgresql://…) with the driver this project uses."""
    scheme, separator, rest = url.partition("://")
    if scheme not in {"postgresql", "postgres"}:
        raise ValueError("the database URL must begin with postgresql://")
    return f"postgresql+psycopg{separator}{rest}"


def _read_uuids_fast(connection: Any, _record: Any) -> None:
    connection.driver_connection.adapters.register_loader("uuid", _UuidLoader)


def _try_idle_connections(engine: AsyncEngine) -> None:
    """Try a connection before it is used if it lay idle for IDLE_S: the server may have been restarted.

    SQLAlchemy's own pre-ping tries it each time, which is a fifth of a short transaction.
    """
    sync = engine.sync_engine

    def check_in(_connection: Any, record: Any) -> None:
        record.info["used_at"] = time.monotonic()

    def check_out(connection: Any, record: Any, _proxy: Any) -> None:
        used_at = record.info.get("used_at")
        if used_at is None or time.monotonic() - used_at < IDLE_S:
            return
        try:
            sync.dialect.do_ping(connection)
        except sync.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError from error  # the pool opens another

    event.listen(sync, "checkin", check_in)
    event.listen(sync, "checkout", check_out)


class Database:
    """A pool of connections for everything but the ledger, which has its own."""

    def __init__(self, url: str, *, pool_size: int = 8) -> None:
        """Prepare the pool; nothing connects before the first transaction."""
        self._engine: AsyncEngine = create_async_engine(
            sqlalchemy_url(url),
            pool_size=pool_size,
            max_overflow=0,
            hide_parameters=True,  # an error's text goes to the log; hashes and addresses do not
            pool_timeout=5,
            connect_args={"connect_timeout": 5, "options": "-c statement_timeout=15000 -c timezone=UTC"},
        )
        _try_idle_connections(self._engine)
        event.listen(self._engine.sync_engine, "connect", _read_uuids_fast)

    @asynccontextmanager
    async def tenant(self, org_id: UUID) -> AsyncGenerator[Transaction]:
        """Open a transaction that sees one organisation's rows of the tenant tables, and no secrets.

        ValidationFailed for a value that no column takes (text with a NUL in it, a number out of range),
        Conflict if somebody else made or removed the same thing at the same moment, DatabaseUnavailable if
        the database cannot be reached or does not answer in time.
        """
        async with self._transaction(TENANT_ROLE, str(org_id)) as connection:
            yield connection

    @asynccontextmanager
    async def platform(self) -> AsyncGenerator[Transaction]:
        """Open a transaction that sees every row: for operators, jobs, sign-in and look-ups that come before
        the tenant is known. Raises as `tenant` does."""
        async with self._transaction(PLATFORM_ROLE, "") as connection:
            yield connection

    @asynccontextmanager
    async def _transaction(self, role: str, org_id: str) -> AsyncGenerator[Transaction]:
        try:
            async with self._engine.begin() as connection:
                # Both settings end with the transaction (`true`): a pooled connection carries nothing over.
                await connection.execute(_ENTER, {"role": role, "org_id": org_id})
                yield connection
        except DataError as error:
            raise ValidationFailed("The request has a value that cannot be stored.") from error
        except IntegrityError as error:
            if getattr(error.orig, "sqlstate", None) not in _LOST_RACE:
                raise
            raise Conflict("Somebody else changed this at the same moment; look again.") from error
        except _AWAY as error:
            raise DatabaseUnavailable(headers={"retry-after": "2"}) from error

    async def ping(self) -> None:
        """Raise DatabaseUnavailable if the database does not answer."""
        async with self.platform() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()
