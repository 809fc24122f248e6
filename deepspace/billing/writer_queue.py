"""What waits for the ledger writer: settlements first, then holds, one organisation after the other."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

import msgspec

from deepspace.billing.ledger import Capture, HoldRequest, Progress, Release


class Note(msgspec.Struct, frozen=True, gc=False):
    """Journal rows without money."""

    journal: Sequence[Any]


Operation = HoldRequest | Capture | Release | Note


class Waiting(msgspec.Struct, eq=False):
    """An operation and who waits for it. A settlement on the spool has nobody waiting any more."""

    op: Operation
    future: asyncio.Future[Any]
    since: float
    spooled: bool = False


class WriterQueue:
    """Bounded for holds, unbounded for settlements: there is at most one for each hold that was admitted."""

    def __init__(self, max_holds: int) -> None:
        """At most `max_holds` holds wait at a time."""
        self._settlements: deque[Waiting] = deque()
        self._holds: OrderedDict[UUID, deque[Waiting]] = OrderedDict()
        self._hold_count = 0
        self._max_holds = max_holds
        self._progress: dict[UUID, Progress] = {}
        self.wake = asyncio.Event()

    def __len__(self) -> int:
        """Return how many operations wait."""
        return len(self._settlements) + self._hold_count

    def waiting(self) -> Iterator[Waiting]:
        """Yield what waits; the queue must not change meanwhile."""
        yield from self._settlements
        for line in self._holds.values():
            yield from line

    @property
    def is_full(self) -> bool:
        """Whether another hold must be refused."""
        return self._hold_count >= self._max_holds

    def push(self, waiting: Waiting) -> None:
        """Let an operation wait."""
        if isinstance(waiting.op, HoldRequest):
            self._holds.setdefault(waiting.op.org_id, deque()).append(waiting)
            self._hold_count += 1
        else:
            self._settlements.append(waiting)
        self.wake.set()

    def push_back(self, batch: Sequence[Waiting]) -> None:
        """Put settlements that could not be written back to the front, in their order."""
        self._settlements.extendleft(reversed(batch))
        self.wake.set()

    def note_progress(self, progress: Progress) -> None:
        """Remember the newest progress of a call for the next batch."""
        self._progress[progress.hold_id] = progress
        self.wake.set()

    def take_progress(self) -> list[Progress]:
        """Return and forget what progress is to be written."""
        taken, self._progress = list(self._progress.values()), {}
        return taken

    def take(self, limit: int) -> list[Waiting]:
        """Return up to `limit` operations: all settlements that fit, then holds, one of each organisation in
        turn."""
        batch: list[Waiting] = []
        while self._settlements and len(batch) < limit:
            batch.append(self._settlements.popleft())
        while self._holds and len(batch) < limit:
            org_id, line = self._holds.popitem(last=False)
            batch.append(line.popleft())
            self._hold_count -= 1
            if line:
                self._holds[org_id] = line
        if not self._settlements and not self._holds:
            self.wake.clear()
        return batch

    def take_holds(self) -> list[Waiting]:
        """Return every waiting hold: the database is away, and they are to be refused."""
        taken = [waiting for line in self._holds.values() for waiting in line]
        self._holds.clear()
        self._hold_count = 0
        return taken
