"""The ledger writer: one task and one connection that settle hundreds of calls in one transaction.

Natural batching: while a batch is in flight the next one fills; no timer, so a lone call waits for nobody.
Nobody is answered before COMMIT has returned with synchronous_commit on. docs/billing.md describes the
contract.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

import asyncpg

from deepspace.billing import spooling
from deepspace.billing.errors import HoldNotOpen, LedgerBusy, LedgerUnavailable
from deepspace.billing.ledger import (
    Capture,
    Captured,
    Clamped,
    HoldRequest,
    Journal,
    Progress,
    Release,
    Replay,
)
from deepspace.billing.spool import Spool
from deepspace.billing.writer_connection import AWAY, WriterConnection
from deepspace.billing.writer_queue import Note, Operation, Waiting, WriterQueue
from deepspace.kit.errors import PlatformError
from deepspace.kit.log import get_logger

log = get_logger(__name__)

MAX_BATCH = 256
MAX_WAITING_HOLDS = 4096
HOLD_TIMEOUT_S = 1.0
SPOOL_AFTER_S = 2.0
WATCH_EVERY_S = 0.2

# SQLSTATE classes of failures that pass: rollback and deadlock, resources, state, operator, system.
_TEMPORARY = frozenset({"40", "53", "55", "57", "58"})


class LedgerWriter:
    """The ledger of a gateway process; see Ledger for the contract of each verb."""

    def __init__(self, url: str, journal: Journal, boot_id: UUID, spool: Spool, *, hold_ttl_s: float) -> None:
        """`hold_ttl_s` is how long a hold stays valid without a sign of life of this process."""
        self._connection = WriterConnection(url, journal, boot_id)
        self._journal = journal
        self._spool = spool
        self._hold_ttl_s = hold_ttl_s
        self._queue = WriterQueue(MAX_WAITING_HOLDS)
        self._task: asyncio.Task[None] | None = None
        self._helpers: list[asyncio.Task[None]] = []
        self._in_flight: list[Waiting] = []
        self._open: set[UUID] = set()
        self._spooled = 0
        self._closing = False
        self._away = False
        self._renewed_at = 0.0
        self.batches = 0
        self.operations = 0

    async def start(self) -> None:
        """Begin to write; settlements of processes that died are taken up again first."""
        self._loop = asyncio.get_running_loop()
        self._task = self._begin(self._run(), "ledger-writer")
        self._helpers = [
            self._begin(self._watch(), "ledger-watch"),
            self._begin(self._adopt(), "ledger-spool"),
        ]

    def _begin(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = self._loop.create_task(work, name=name)
        task.add_done_callback(_complain)
        return task

    async def close(self) -> None:
        """Write what waits, then stop. What cannot be written in time goes to the spool."""
        self._closing = True
        self._queue.wake.set()
        if self._task is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._task), 10)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            for waiting in [*self._in_flight, *self._queue.take(len(self._queue))]:
                if not waiting.future.done():
                    await self._put_on_spool(waiting)
        for helper in self._helpers:
            helper.cancel()
        await asyncio.gather(*self._helpers, return_exceptions=True)
        await self._connection.close()
        self._spool.close()

    async def ping(self) -> None:
        """Raise LedgerUnavailable if the books cannot be written at the moment."""
        if self._away:
            raise LedgerUnavailable
        await self._submit(Note(()))

    async def hold(self, request: HoldRequest) -> Replay | Clamped | None:
        """Set money aside; see Ledger.hold."""
        if self._away or self._closing:
            raise LedgerUnavailable(headers={"retry-after": "2"})
        if self._queue.is_full:
            raise LedgerBusy(headers={"retry-after": "1"})
        return await self._submit(request)

    async def capture(self, capture: Capture) -> Captured:
        """Settle a hold; see Ledger.capture."""
        self._open.discard(capture.hold_id)
        found: Captured | None = await self._submit(capture)
        return found if found is not None else Captured(capture.cost_nano, 0)

    async def release(self, release: Release) -> None:
        """Give a hold back; see Ledger.release."""
        self._open.discard(release.hold_id)
        await self._submit(release)

    async def progress(self, progress: Progress) -> None:
        """Note how far a call has come, with the next batch; nobody waits for it."""
        self._queue.note_progress(progress)

    def abandon(self, hold_id: UUID) -> None:
        """Stop renewing a hold; see Ledger.abandon."""
        self._open.discard(hold_id)

    async def note(self, journal: Sequence[Any]) -> None:
        """Write journal rows without money."""
        await self._submit(Note(journal))

    def _submit(self, op: Operation) -> asyncio.Future[Any]:
        waiting = Waiting(op, self._loop.create_future(), self._loop.time())
        self._queue.push(waiting)
        return waiting.future

    async def _watch(self) -> None:
        """Find who has waited too long: one timer for all, instead of one for each operation. And see that a
        writer with nothing to do renews the holds.

        A hold is refused after HOLD_TIMEOUT_S; should it be committed after all, `_tell` gives it back at
        once. A settlement goes to the spool after SPOOL_AFTER_S, which is as durable as the database, and is
        answered.
        """
        while True:
            await asyncio.sleep(WATCH_EVERY_S)
            now = self._loop.time()
            if now - self._renewed_at > self._hold_ttl_s / 4:
                self._queue.wake.set()
            for waiting in [*self._in_flight, *self._queue.waiting()]:
                if waiting.future.done():
                    continue
                if isinstance(waiting.op, Capture | Release):
                    if now - waiting.since > SPOOL_AFTER_S:
                        await self._put_on_spool(waiting)
                elif now - waiting.since > HOLD_TIMEOUT_S:
                    waiting.future.set_exception(LedgerUnavailable(headers={"retry-after": "2"}))

    async def _put_on_spool(self, waiting: Waiting) -> None:
        if isinstance(waiting.op, Capture | Release) and not waiting.spooled:
            line = spooling.encode(waiting.op, self._journal)
            waiting.spooled = True  # before the line is written, or `_tell` could clear it away meanwhile
            self._spooled += 1
            try:
                await asyncio.to_thread(self._spool.append, line)
            except OSError:
                log.exception("settlement is neither in the database nor on the spool yet")
                self._off_spool(waiting)
                return
            if not waiting.spooled and self._spooled == 0:
                self._spool.clear()  # it was committed while its line was written
            if not waiting.future.done():
                waiting.future.set_result(None)

    def _off_spool(self, waiting: Waiting) -> None:
        """Count a settlement off the spool; the last one clears it."""
        if waiting.spooled:
            waiting.spooled = False
            self._spooled -= 1
            if self._spooled == 0:
                self._spool.clear()

    async def _adopt(self) -> None:
        """Take up settlements that dead processes left on their spools."""
        for recovered in self._spool.adopt_orphans():
            log.warning("spool adopted", path=recovered.path.name, settlements=len(recovered.lines))
            taken_up = [await self._take_up(line) for line in recovered.lines]
            if not all(taken_up):
                recovered.set_aside()

    async def _take_up(self, line: str) -> bool:
        try:
            with suppress(HoldNotOpen):  # it was written before its process died
                await self._submit(spooling.decode(line, self._journal))
        except Exception:
            log.exception("a settlement of a spool cannot be taken up")
            return False
        return True

    async def _run(self) -> None:
        while not (self._closing and not len(self._queue)):
            await self._queue.wake.wait()
            await self._one_batch()

    async def _one_batch(self) -> None:
        batch = self._queue.take(MAX_BATCH)
        progress = self._queue.take_progress()
        now = self._loop.time()
        renewals: list[UUID] = []
        if now - self._renewed_at > self._hold_ttl_s / 4:
            self._renewed_at = now
            renewals = list(self._open)
        if not (batch or progress or renewals):
            return
        self._in_flight = batch
        try:
            outcomes = await self._connection.execute(
                [waiting.op for waiting in batch], progress, renewals, self._hold_ttl_s
            )
        except AWAY as error:
            await self._go_away(batch, error)
            return
        except asyncpg.PostgresError as error:
            await self._one_by_one(batch, error)
            return
        self._away = False
        self.batches += 1
        self.operations += len(batch)
        for waiting, outcome in zip(batch, outcomes, strict=True):
            self._tell(waiting, outcome)

    def _tell(self, waiting: Waiting, outcome: Any) -> None:
        """Resolve the future of an operation that was committed, or refused."""
        op, refused = waiting.op, isinstance(outcome, PlatformError)
        self._off_spool(waiting)
        if isinstance(op, HoldRequest) and not refused and not isinstance(outcome, Replay):
            if waiting.future.done():  # its caller was refused, or is gone, before it was committed
                give_back = Release(op.org_id, op.id, self._journal.given_back(op))
                self._submit(give_back).add_done_callback(_seen)
                return
            self._open.add(op.id)
        if waiting.future.done():
            return
        if isinstance(outcome, PlatformError):
            waiting.future.set_exception(outcome)
        else:
            waiting.future.set_result(outcome)

    async def _one_by_one(self, batch: Sequence[Waiting], error: asyncpg.PostgresError) -> None:
        """A statement failed: find the operation at fault by running each in a transaction of its own."""
        log.warning(
            "batch failed, running its operations one by one", operations=len(batch), error=str(error)
        )
        for waiting in batch:
            try:
                [outcome] = await self._connection.execute([waiting.op], (), (), self._hold_ttl_s)
            except AWAY as away:
                await self._go_away([waiting], away)
            except asyncpg.PostgresError as fault:
                await self._failed(waiting, fault)
            else:
                self._tell(waiting, outcome)

    async def _failed(self, waiting: Waiting, fault: asyncpg.PostgresError) -> None:
        """A lone operation failed: out of resources is temporary; anything else is told to who waits."""
        sqlstate = str(getattr(fault, "sqlstate", ""))
        if sqlstate[:2] in _TEMPORARY:
            await self._go_away([waiting], fault)
        else:
            log.error("ledger operation failed", error=str(fault), sqlstate=sqlstate)
            self._tell(waiting, LedgerUnavailable())

    async def _go_away(self, batch: Sequence[Waiting], error: Exception) -> None:
        """The database is away: refuse holds, keep settlements for its return."""
        if not self._away:
            log.error("the ledger's database is away", error=str(error))
        self._away = True
        holds = [waiting for waiting in batch if isinstance(waiting.op, HoldRequest | Note)]
        for waiting in holds + self._queue.take_holds():
            self._tell(waiting, LedgerUnavailable(headers={"retry-after": "2"}))
        self._queue.push_back([waiting for waiting in batch if waiting not in holds])
        if self._closing:
            for waiting in self._queue.take(len(self._queue)):
                await self._put_on_spool(waiting)
            return
        await asyncio.sleep(0.1)
        with suppress(*AWAY):
            await self._connection.connect()
            self._away = False


def _seen(future: asyncio.Future[Any]) -> None:
    """Take note of an outcome that nobody waits for."""
    if not future.cancelled() and future.exception() is not None:
        log.warning("hold of a caller that is gone could not be given back", error=str(future.exception()))


def _complain(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("ledger task ended unexpectedly", exc_info=task.exception())
