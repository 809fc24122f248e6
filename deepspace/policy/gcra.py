"""The generic cell rate algorithm, exact: integers, no drift, nothing given away by rounding.

ITU-T I.371 (annex A) states it in two forms that admit the same cells. This is the second, the
continuous-state leaky bucket: a level that drains with time and rises with each call. In it a rate that does
not divide the minute stays exact, where the first form (a theoretical arrival time) would have to round the
interval.

One token is UNIT of level, and a bucket of n per minute drains n of level each millisecond. Every number
stays under 2^53, so that the same arithmetic in Lua's doubles (redis_scripts.py) gives the same answers.
"""

from __future__ import annotations

from dataclasses import dataclass

UNIT = 60_000
"""Level of one token: milliseconds in a minute."""

MAX_PER_MINUTE = 1_000_000_000
"""The largest rate; UNIT times it, twice, is far below 2^53."""


@dataclass(frozen=True, slots=True)
class Level:
    """What a bucket holds and when it was last touched, in milliseconds of the limiter's clock."""

    level: int
    at_ms: int


def drained(state: Level | None, per_minute: int, now_ms: int) -> int:
    """Return the level now. Only time that passed forwards drains: a clock that was set back gives nothing
    away, and from then on drains at the usual rate."""
    if state is None:
        return 0
    return max(0, state.level - max(0, now_ms - state.at_ms) * per_minute)


def wait_ms(level: int, per_minute: int, cost: int) -> int:
    """Return how long until `cost` tokens fit on top of `level`; 0 if they fit now. The burst is one minute's
    worth; a cost above it is asked as the whole burst: it waits for an empty bucket instead of for ever."""
    over = level + min(cost, per_minute) * UNIT - per_minute * UNIT
    return -(-over // per_minute) if over > 0 else 0


def charged(level: int, per_minute: int, cost: int) -> int:
    """Return the level after `cost` tokens were admitted."""
    return level + min(cost, per_minute) * UNIT


def corrected(level: int, per_minute: int, estimate: int, actual: int) -> int:
    """Return the level once it is known what a call used. It may rise above the burst: a debt, which later
    calls wait for; it never falls below empty."""
    return max(0, level + (actual - min(estimate, per_minute)) * UNIT)


def remaining(level: int, per_minute: int) -> int:
    """Return how many whole tokens are left."""
    return max(0, per_minute * UNIT - level) // UNIT


def reset_ms(level: int, per_minute: int) -> int:
    """Return how long until the bucket is as if never used."""
    return -(-level // per_minute)
