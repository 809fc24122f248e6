"""What counts: buckets, and the port behind which they live in memory or in Redis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol
from uuid import UUID

Measure = Literal["requests", "tokens", "parallel"]


@dataclass(frozen=True, slots=True)
class Bucket:
    """One limit as it applies to one call. `name` is unique within the organisation."""

    name: str
    measure: Measure
    limit: int
    """Requests or tokens a minute, or calls at the same time."""
    cost: int = 1
    """What the call takes of it; of tokens an estimate."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How a bucket looked after the decision."""

    wait_ms: int
    """0 if this bucket had room; else how long until it will, if nobody else comes."""
    remaining: int
    reset_ms: int
    """How long until it is as if never used; 0 for parallel calls, which end when they end."""


class LimiterUnavailable(Exception):
    """The counters cannot be reached, or not in time."""


class Limiter(Protocol):
    """Counters of calls."""

    name: str

    async def take(self, org_id: UUID, permit_id: str, buckets: Sequence[Bucket]) -> Sequence[Reading]:
        """Take from every bucket, or from none if one has no room; a reading each, in their order.

        Raises LimiterUnavailable; then the call may have been counted, and `give_back` undoes what can be.
        """
        ...

    async def give_back(self, org_id: UUID, permit_id: str, buckets: Sequence[Bucket], tokens: int) -> None:
        """End a call that was admitted: its permits are free, and of tokens it used `tokens`.

        Raises LimiterUnavailable; then permits end with their lease.
        """
        ...


PARALLEL_WAIT_MS = 1_000
"""What a caller is told to wait for a parallel call to end: nobody knows how long that takes."""
