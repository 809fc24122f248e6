"""A clock that a test moves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class FrozenClock:
    """Stands still until told otherwise; obeys the Clock protocol."""

    def __init__(self, at: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        """Stand at `at`."""
        self._now = at
        self._ns = 0

    def now(self) -> datetime:
        """Return the wall time."""
        return self._now

    def monotonic_ns(self) -> int:
        """Return the monotonic time."""
        return self._ns

    def advance(self, by: timedelta) -> None:
        """Move both clocks."""
        self._now += by
        self._ns += int(by.total_seconds() * 1e9)
