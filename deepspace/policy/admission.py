"""Admission: a call is let in by every limit that applies, or by none.

With Redis configured the counters are there. When it is slow or gone, what happens has a name, the setting
DEEPSPACE_LIMITS_WHEN_UNAVAILABLE: `local` (this process counts for itself, at the full limits) or `refuse`
(503). Either is logged once when it begins and once when it ends, and every decision is counted.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from deepspace.kit.clock import Clock
from deepspace.kit.ids import uuid7
from deepspace.kit.log import get_logger
from deepspace.policy.errors import LimitsUnavailable, RateLimited
from deepspace.policy.headers import rate_headers, refusal_of
from deepspace.policy.limiter import Bucket, Limiter, LimiterUnavailable, Reading
from deepspace.policy.local_limiter import LocalLimiter
from deepspace.policy.rate_limits import LimitBook, Named, Subject

log = get_logger(__name__)

WhenUnavailable = Literal["local", "refuse"]

RETRY_NS = 1_000_000_000
"""How long Redis is left alone after it failed; then one call tries it."""

MAX_OWED = 10_000
"""Calls that ended while Redis was away and are given back once it returns."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a call was let in with; to be given back when it has settled."""

    limiter: Limiter
    org_id: UUID
    permit_id: str
    buckets: Sequence[Bucket]
    headers: Mapping[str, str]


class Admission:
    """Lets calls in and takes their permits back."""

    def __init__(
        self,
        book: LimitBook,
        clock: Clock,
        *,
        shared: Limiter | None = None,
        when_unavailable: WhenUnavailable = "local",
    ) -> None:
        """Count in `shared` if it is given, else in this process."""
        self._book = book
        self._clock = clock
        self._local = LocalLimiter(clock)
        self._shared = shared
        self._when_unavailable = when_unavailable
        self._lost = False
        self._try_at_ns = 0
        self._owed: deque[tuple[Ticket, int]] = deque(maxlen=MAX_OWED)
        self._paying: asyncio.Task[None] | None = None
        self.decisions: Counter[tuple[str, str]] = Counter()
        """How many decisions there were, by (who counted, outcome)."""

    async def admit(
        self, org_id: UUID, subjects: Sequence[tuple[Subject, Named]], tokens: Callable[[], int]
    ) -> Ticket | None:
        """Let a call in and return its ticket; None if no limit applies.

        Raises RateLimited if a limit is reached, and nothing was consumed; LimitsUnavailable if the counters
        are away and the setting says to refuse.
        """
        rules = await self._book.of(org_id)
        if not rules:
            return None
        applied = rules.applying(subjects, tokens)
        if not applied:
            return None
        permit_id = uuid7().hex
        buckets = [limit.bucket for limit in applied]
        limiter, readings = await self._take(org_id, permit_id, buckets)
        limits = list(zip(applied, readings, strict=True))
        headers = rate_headers(limits)
        admitted = not any(reading.wait_ms for reading in readings)
        self._count(limiter, "admitted" if admitted else "refused")
        if not admitted:
            sentence, wait_s = refusal_of(limits)
            raise RateLimited(sentence, headers={"retry-after": str(wait_s), **headers})
        return Ticket(limiter, org_id, permit_id, buckets, headers)

    async def release(self, ticket: Ticket, tokens: int) -> None:
        """Take a call's permits back and correct its tokens to what it used. Never raises LimiterUnavailable:
        what cannot be given back now is given back when Redis returns, or runs out with its lease."""
        if ticket.limiter is self._shared and self._lost:
            self._owed.append((ticket, tokens))
            return
        try:
            await ticket.limiter.give_back(ticket.org_id, ticket.permit_id, ticket.buckets, tokens)
        except LimiterUnavailable as error:
            self._owed.append((ticket, tokens))
            self._fail(error)

    async def _take(
        self, org_id: UUID, permit_id: str, buckets: Sequence[Bucket]
    ) -> tuple[Limiter, Sequence[Reading]]:
        if self._shared is not None and (not self._lost or self._is_time_to_try()):
            try:
                readings = await self._shared.take(org_id, permit_id, buckets)
                self._recover()
                return self._shared, readings
            except LimiterUnavailable as error:
                self._fail(error)
        if self._shared is not None and self._when_unavailable == "refuse":
            self.decisions["none", "unavailable"] += 1
            raise LimitsUnavailable(headers={"retry-after": "1"})
        return self._local, await self._local.take(org_id, permit_id, buckets)

    def _is_time_to_try(self) -> bool:
        """Tell one call a second that it may try."""
        now_ns = self._clock.monotonic_ns()
        if now_ns < self._try_at_ns:
            return False
        self._try_at_ns = now_ns + RETRY_NS
        return True

    def _fail(self, error: LimiterUnavailable) -> None:
        self._try_at_ns = self._clock.monotonic_ns() + RETRY_NS
        if not self._lost:
            self._lost = True
            log.error(
                "Redis is unavailable for rate limits", reason=str(error), decision=self._when_unavailable
            )

    def _recover(self) -> None:
        if self._lost:
            self._lost = False
            log.warning("Redis is back; rate limits are shared again", to_give_back=len(self._owed))
        if self._owed and (self._paying is None or self._paying.done()):
            self._paying = asyncio.create_task(self._pay(), name="give back permits")

    async def _pay(self) -> None:
        while self._owed and not self._lost:
            await self.release(*self._owed.popleft())

    def _count(self, limiter: Limiter, outcome: str) -> None:
        name = limiter.name if limiter is self._shared or self._shared is None else "fallback"
        self.decisions[name, outcome] += 1
