"""Counters in the memory of one process: for one node, and while Redis is away."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from deepspace.kit.clock import Clock
from deepspace.policy import gcra
from deepspace.policy.gcra import Level
from deepspace.policy.limiter import PARALLEL_WAIT_MS, Bucket, Reading

SWEEP_AT = 10_000
"""How many levels are kept before the drained ones among them are dropped."""

_Key = tuple[UUID, str]


class LocalLimiter:
    """Obeys Limiter. A decision runs without a pause between reading and writing, so it needs no lock."""

    name = "local"

    def __init__(self, clock: Clock) -> None:
        """Use the monotonic side of this clock: it cannot be set back."""
        self._clock = clock
        self._levels: dict[_Key, tuple[int, Level]] = {}
        self._permits: dict[_Key, set[str]] = {}
        self._sweep_at = SWEEP_AT

    async def take(self, org_id: UUID, permit_id: str, buckets: Sequence[Bucket]) -> Sequence[Reading]:
        """Take from every bucket or from none."""
        now_ms = self._now_ms()
        before = [self._used(org_id, bucket, now_ms) for bucket in buckets]
        waits = [_wait_ms(bucket, used) for bucket, used in zip(buckets, before, strict=True)]
        admitted = not any(waits)
        readings: list[Reading] = []
        for bucket, used, wait in zip(buckets, before, waits, strict=True):
            key = (org_id, bucket.name)
            if bucket.measure == "parallel":
                held = used
                if admitted:
                    self._permits.setdefault(key, set()).add(permit_id)
                    held += 1
                readings.append(Reading(wait, max(0, bucket.limit - held), 0))
                continue
            level = gcra.charged(used, bucket.limit, bucket.cost) if admitted else used
            if admitted:
                self._levels[key] = (bucket.limit, Level(level, now_ms))
            remaining, reset = gcra.remaining(level, bucket.limit), gcra.reset_ms(level, bucket.limit)
            readings.append(Reading(wait, remaining, reset))
        if len(self._levels) > self._sweep_at:
            self._sweep(now_ms)
        return readings

    async def give_back(self, org_id: UUID, permit_id: str, buckets: Sequence[Bucket], tokens: int) -> None:
        """Free the permits and charge the tokens that were used."""
        now_ms = self._now_ms()
        for bucket in buckets:
            key = (org_id, bucket.name)
            if bucket.measure == "parallel":
                held = self._permits.get(key)
                if held is not None:
                    held.discard(permit_id)
                    if not held:
                        del self._permits[key]
            elif bucket.measure == "tokens":
                used = self._used(org_id, bucket, now_ms)
                level = gcra.corrected(used, bucket.limit, bucket.cost, tokens)
                self._levels[key] = (bucket.limit, Level(level, now_ms))

    def _now_ms(self) -> int:
        return self._clock.monotonic_ns() // 1_000_000

    def _used(self, org_id: UUID, bucket: Bucket, now_ms: int) -> int:
        key = (org_id, bucket.name)
        if bucket.measure == "parallel":
            return len(self._permits.get(key, ()))
        found = self._levels.get(key)
        return gcra.drained(found[1], bucket.limit, now_ms) if found is not None else 0

    def _sweep(self, now_ms: int) -> None:
        """Forget what has drained; look again when the rest has doubled."""
        for key, (per_minute, level) in list(self._levels.items()):
            if not gcra.drained(level, per_minute, now_ms):
                del self._levels[key]
        self._sweep_at = max(SWEEP_AT, 2 * len(self._levels))


def _wait_ms(bucket: Bucket, used: int) -> int:
    if bucket.measure == "parallel":
        return PARALLEL_WAIT_MS if used >= bucket.limit else 0
    return gcra.wait_ms(used, bucket.limit, bucket.cost)
