"""The writer's own connection: a batch as one transaction, and the truth about a COMMIT whose answer was
lost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID

import asyncpg

from deepspace.billing import batch, batch_sql, single
from deepspace.billing.ledger import Capture, HoldRequest, Journal, Progress, Release
from deepspace.billing.writer_queue import Operation
from deepspace.kit.bulk import BulkConnection
from deepspace.kit.errors import PlatformError
from deepspace.kit.failpoints import reach
from deepspace.kit.log import get_logger

log = get_logger(__name__)

AWAY = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InterfaceError,
)

_connect: Any = cast("Any", asyncpg).connect  # only partly typed


class OutcomeUnknown(Exception):
    """COMMIT was sent and its answer was lost."""

    def __init__(self, xid: str | None) -> None:
        """Keep the transaction's id, by which PostgreSQL can tell what became of it."""
        super().__init__(f"the outcome of transaction {xid} is unknown")
        self.xid = xid


class NotWritable(asyncpg.PostgresError):
    """An operation has a value that no column takes. It is refused; the database is not away."""


class WriterConnection:
    """One connection; opened again when it was lost."""

    def __init__(self, url: str, journal: Journal, boot_id: UUID) -> None:
        """`boot_id` marks the holds of this process."""
        self._url = url
        self._journal = journal
        self._boot_id = boot_id
        self._connection: Any = None
        self._outcomes: list[Any] = []

    async def connect(self) -> Any:
        """Return the open connection; one of AWAY if there is none to be had."""
        if self._connection is None or self._connection.is_closed():
            self._connection = await _connect(
                self._url,
                timeout=3,
                command_timeout=15,
                server_settings={
                    "synchronous_commit": "on",
                    "application_name": "deepspace-ledger",
                    "statement_timeout": "10000",
                    "jit": "off",
                    # Every statement of the books finds its rows by an index. A plan that was made while a
                    # table was small must not go on reading it whole when it has grown.
                    "enable_seqscan": "off",
                    "enable_hashjoin": "off",
                    "enable_mergejoin": "off",
                },
                # It takes on no role: the books of every tenant pass here. See docs/tenancy.md.
                connection_class=BulkConnection,
            )
            await self._connection.learn("holds")
        return self._connection

    async def close(self) -> None:
        """Close the connection; drop it if the database does not answer."""
        if self._connection is not None and not self._connection.is_closed():
            try:
                await self._connection.close(timeout=2)
            except (*AWAY, asyncpg.PostgresError):
                self._connection.terminate()

    async def execute(
        self, ops: Sequence[Operation], progress: Sequence[Progress], renewals: Sequence[UUID], ttl_s: float
    ) -> list[Any]:
        """Run a batch and return, for each operation, its result or the PlatformError that refused it.

        Raises one of AWAY, or a PostgresError; then nothing of the batch was committed.
        """
        try:
            alone = len(ops) == 1 and not progress and not renewals
            if alone and isinstance(ops[0], HoldRequest):
                # A statement of its own is a transaction of its own. Should its answer be lost, nobody is
                # told that the hold stands, and the sweeper ends it.
                _reach(ops, "before")
                if await single.hold(await self.connect(), ops[0], self._boot_id):
                    _reach(ops, "after")
                    return [None]
            return await self._transact(ops, progress, renewals, ttl_s)
        except OutcomeUnknown as unknown:
            return await self._resolve(unknown, ops, progress, renewals, ttl_s)
        except asyncpg.InterfaceError as error:
            if isinstance(error, ValueError):  # the driver's own DataError, which it has no public name for
                raise NotWritable(str(error)) from error
            raise

    async def _transact(
        self, ops: Sequence[Operation], progress: Sequence[Progress], renewals: Sequence[UUID], ttl_s: float
    ) -> list[Any]:
        connection = await self.connect()
        await connection.execute("BEGIN")
        try:
            books, outcomes = await self._apply(connection, ops)
            if progress:
                await batch_sql.write_progress(connection, progress)
            if renewals:
                await batch_sql.renew(connection, renewals, ttl_s)
        except BaseException:
            if not connection.is_closed():
                await _roll_back(connection)
            raise
        _reach(ops, "before")
        try:
            await connection.execute("COMMIT")
        except AWAY:
            connection.terminate()
            self._outcomes = outcomes
            raise OutcomeUnknown(books.xid) from None
        _reach(ops, "after")
        return outcomes

    async def _apply(self, connection: Any, ops: Sequence[Operation]) -> tuple[batch.Books, list[Any]]:
        if len(ops) == 1 and isinstance(ops[0], Capture):
            found = await single.capture(connection, ops[0])
            if found is not None:
                captured, xid = found
                await self._journal.append(connection, ops[0].journal)
                return batch.Books(xid), [captured]
        holds = [op for op in ops if isinstance(op, HoldRequest)]
        ends = [op for op in ops if isinstance(op, Capture | Release)]
        books = await batch_sql.read(connection, holds, ends) if holds or ends else batch.Books()
        outcomes: list[Any] = []
        journal: list[Any] = []
        for op in ops:
            try:
                outcomes.append(_decide(books, op))
            except PlatformError as refusal:
                outcomes.append(refusal)
                continue
            if not isinstance(op, HoldRequest):
                journal += op.journal
        await batch_sql.write(connection, books, self._boot_id)
        if journal:
            await self._journal.append(connection, journal)
        return books, outcomes

    async def _resolve(
        self,
        unknown: OutcomeUnknown,
        ops: Sequence[Operation],
        progress: Sequence[Progress],
        renewals: Sequence[UUID],
        ttl_s: float,
    ) -> list[Any]:
        """Ask PostgreSQL what became of the transaction; run the batch again if it was not committed."""
        outcomes = self._outcomes
        if unknown.xid is None:
            return await self.execute(ops, progress, renewals, ttl_s)
        log.warning("the answer to COMMIT was lost, asking", xid=unknown.xid)
        deadline = asyncio.get_running_loop().time() + 30
        while True:
            try:
                connection = await self.connect()
                state = await connection.fetchval("SELECT pg_xact_status($1::text::xid8)", unknown.xid)
                if state == "committed" and not await self._stands(connection, ops, outcomes):
                    state = "aborted"
            except AWAY:
                state = "unreachable"
            except asyncpg.PostgresError:
                state = "aborted"  # an id from the future: the server was restored from before it
            if state == "committed":
                return outcomes
            if state in {"aborted", None}:
                return await self.execute(ops, progress, renewals, ttl_s)
            if asyncio.get_running_loop().time() > deadline:
                log.error("the outcome of a batch stays unknown", xid=unknown.xid)
                raise TimeoutError("the outcome of a batch stays unknown")
            await asyncio.sleep(0.1)

    async def _stands(self, connection: Any, ops: Sequence[Operation], outcomes: Sequence[Any]) -> bool:
        """See that what was decided is there: after a crash PostgreSQL may give an id that never reached its
        log to another transaction, and that one was committed."""
        opened: list[UUID] = []
        ended: list[UUID] = []
        for op, outcome in zip(ops, outcomes, strict=True):
            if isinstance(op, HoldRequest) and outcome is None:
                opened.append(op.id)
            elif isinstance(op, Capture | Release) and not isinstance(outcome, PlatformError):
                ended.append(op.hold_id)
        return await batch_sql.stands(connection, opened, ended)


def _reach(ops: Sequence[Operation], moment: str) -> None:
    if any(isinstance(op, HoldRequest) for op in ops):
        reach(f"hold.{moment}_commit")
    if any(isinstance(op, Capture | Release) for op in ops):
        reach(f"settle.{moment}_commit")


def _decide(books: batch.Books, op: Operation) -> Any:
    if isinstance(op, HoldRequest):
        return batch.hold(books, op)
    if isinstance(op, Capture):
        return batch.capture(books, op)
    if isinstance(op, Release):
        return batch.release(books, op)
    return None


async def _roll_back(connection: Any) -> None:
    try:
        await connection.execute("ROLLBACK")
    except (asyncpg.PostgresError, *AWAY):
        connection.terminate()
