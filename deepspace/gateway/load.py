"""How much more this process can take on: a ladder of three levels by event-loop lag and memory.

- `calm`: everything is served.
- `strained`: no new model calls (503 with Retry-After); calls under way, their settlement and the management
  API go on.
- `overloaded`: nothing new but health, readiness and metrics.

What was begun is never shed: a call that holds money is read, captured and audited at every level. Which
level it is, is decided by a pure function of what was measured.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from deepspace.kit.errors import Overloaded
from deepspace.kit.log import get_logger

log = get_logger(__name__)

SAMPLE_S = 0.25
SUSTAINED = 4
"""Samples in a row that must show a lag: a second. One long pause is no overload."""

RELIEF = 0.8
"""A level is left downwards at this part of what leads to it, so that it does not flutter."""

_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_UNLIMITED_BYTES = 1 << 60


class Level(IntEnum):
    """A step of the ladder."""

    CALM = 0
    STRAINED = 1
    OVERLOADED = 2


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Where the levels begin: seconds of lag, and parts of the memory that the process may have."""

    strained_lag_s: float
    overloaded_lag_s: float
    strained_memory: float = 0.8
    overloaded_memory: float = 0.9


@dataclass(frozen=True, slots=True)
class Sample:
    """What was measured: a lag that lasted, and the part of the allowed memory in use (0 without a limit)."""

    lag_s: float
    memory: float


def level_of(sample: Sample, before: Level, thresholds: Thresholds) -> Level:
    """Return the level for a measurement. Upwards at once; downwards only with some relief."""
    for level, lag_s, memory in (
        (Level.OVERLOADED, thresholds.overloaded_lag_s, thresholds.overloaded_memory),
        (Level.STRAINED, thresholds.strained_lag_s, thresholds.strained_memory),
    ):
        part = RELIEF if before >= level else 1.0
        if sample.lag_s >= lag_s * part or sample.memory >= memory * part:
            return level
    return Level.CALM


def sustained(lags_s: Sequence[float]) -> float:
    """Return the lag that all of the last samples show; 0 until there are enough of them."""
    return min(lags_s) if len(lags_s) >= SUSTAINED else 0.0


def memory_limit_bytes(set_mib: int | None) -> int | None:
    """Return how much memory the process may have: as set, or what its control group allows; None without
    a limit."""
    if set_mib is not None:
        return set_mib * 1024 * 1024
    for path in _CGROUP_LIMITS:
        try:
            limit = int(path.read_text())
        except (OSError, ValueError):  # "max", or no such control group
            continue
        return limit if limit < _UNLIMITED_BYTES else None
    return None


def resident_bytes() -> int:
    """Return how much memory the process has (proc(5), statm); 0 where that cannot be told."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


class Load:
    """Measures, keeps the level, and refuses what the level does not allow."""

    def __init__(
        self,
        thresholds: Thresholds,
        *,
        memory_bytes: int | None,
        max_calls: int,
        max_connections: int,
    ) -> None:
        """At most `max_calls` model calls under way, and requests of `max_connections` connections."""
        self._thresholds = thresholds
        self._memory_limit = memory_bytes
        self._max_calls = max_calls
        self.max_connections = max_connections
        self._lags: deque[float] = deque(maxlen=SUSTAINED)
        self.level = Level.CALM
        self.lag_s = 0.0
        self.memory_bytes = 0
        self.shed: Counter[str] = Counter()

    async def watch(self) -> None:
        """Measure for ever."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + SAMPLE_S
            await asyncio.sleep(SAMPLE_S)
            self.lag_s = max(0.0, loop.time() - due)
            self._lags.append(self.lag_s)
            self.memory_bytes = resident_bytes()
            memory = self.memory_bytes / self._memory_limit if self._memory_limit is not None else 0.0
            level = level_of(Sample(sustained(self._lags), memory), self.level, self._thresholds)
            if level is not self.level:
                log.warning(
                    "load level changed",
                    level=level.name.lower(),
                    lag_ms=round(1000 * self.lag_s),
                    memory_mib=self.memory_bytes >> 20,
                )
                self.level = level

    def admit(self, connections: int) -> None:
        """Raise Overloaded if no request can be served."""
        if connections > self.max_connections:
            self._shed("connections", close=True)
        if self.level is Level.OVERLOADED:
            self._shed("overloaded")

    def admit_call(self, calls: int) -> None:
        """Raise Overloaded if no further model call can be made beside `calls`."""
        if self.level is not Level.CALM:
            self._shed("strained")
        if calls >= self._max_calls:
            self._shed("calls")

    def _shed(self, why: str, *, close: bool = False) -> None:
        self.shed[why] += 1
        raise Overloaded(headers={"retry-after": "2"} | ({"connection": "close"} if close else {}))
