"""The books against the providers: what usage records say of a channel's hour or day, and what its provider
says.

Only the provider can show that a call reached it which the books do not know, or that it counted otherwise.
A difference is a finding for an operator; nothing is corrected by itself. One side counts a call where it
began, the other where it ended: a call over the edge of a period shows as a small difference, and as its
opposite in the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from deepspace.billing.provider_check_repository import ProviderCheckRepository
from deepspace.kit.clock import Clock
from deepspace.kit.db import Database, Record
from deepspace.kit.errors import PlatformError, ValidationFailed
from deepspace.kit.ids import uuid7
from deepspace.kit.log import get_logger

log = get_logger(__name__)

LONGEST = timedelta(days=31)


class Reported(Protocol):
    """A provider's count for one of its models."""

    @property
    def model(self) -> str:
        """The provider's name of the model."""
        ...

    @property
    def requests(self) -> int:
        """Calls."""
        ...

    @property
    def input_tokens(self) -> int:
        """Input tokens, cached ones included."""
        ...

    @property
    def output_tokens(self) -> int:
        """Output tokens, reasoning included."""
        ...


class ProviderReports(Protocol):
    """What the upstream slice can find out."""

    async def channels(self) -> Sequence[UUID]:
        """Return the channels that can tell."""
        ...

    async def report(self, channel_id: UUID, start: datetime, end: datetime) -> Sequence[Reported]:
        """Return what the provider counted; a PlatformError says why it cannot."""
        ...


def totals(lines: Iterable[Any]) -> dict[str, Any]:
    """Return requests, input and output tokens of all lines, and of each model."""
    counts = ("requests", "input_tokens", "output_tokens")
    models: dict[str, dict[str, int]] = {}
    for line in lines:
        entry = models.setdefault(line.model, dict.fromkeys(counts, 0))
        for name in counts:
            entry[name] += int(getattr(line, name))
    return {**{name: sum(entry[name] for entry in models.values()) for name in counts}, "models": models}


def compare(ours: dict[str, Any], theirs: dict[str, Any]) -> str:
    """Return `equal` or `differs`: by the totals, since providers name models in their own ways."""
    names = ("requests", "input_tokens", "output_tokens")
    return "equal" if all(ours[name] == theirs[name] for name in names) else "differs"


class ProviderChecks:
    """Runs checks and keeps what they found."""

    def __init__(self, database: Database, reports: ProviderReports, clock: Clock) -> None:
        """`reports` asks the providers."""
        self._database = database
        self._reports = reports
        self._clock = clock

    async def check(self, channel_id: UUID, start: datetime, end: datetime) -> Record:
        """Hold a period against the provider and keep the finding, the newest of each period.

        The period is of whole hours, past, and at most 31 days long; ValidationFailed otherwise.
        """
        whole = all(at == at.replace(minute=0, second=0, microsecond=0) for at in (start, end))
        if not whole or not start < end <= self._clock.now() or end - start > LONGEST:
            raise ValidationFailed("A period is of whole hours, past, and at most 31 days long.", param="end")
        theirs: dict[str, Any] = {}
        reason = ""
        try:
            theirs = totals(await self._reports.report(channel_id, start, end))
        except PlatformError as error:
            if error.status == 404:
                raise
            reason = str(error)
        async with self._database.platform() as tx:
            repository = ProviderCheckRepository(tx)
            ours = totals(await repository.used(channel_id, start, end))
            status = compare(ours, theirs) if not reason else "unavailable"
            row = await repository.keep(
                id=uuid7(),
                channel_id=channel_id,
                period_start=start,
                period_end=end,
                status=status,
                reason=reason,
                ours=ours,
                theirs=theirs,
                created_at=self._clock.now(),
            )
        if status != "equal":
            log.warning("provider check", channel_id=str(channel_id), status=status, reason=reason)
        return row

    async def check_yesterday(self) -> None:
        """Check yesterday (UTC) for every channel that can tell and has no finding for it yet."""
        end = self._clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
        start = end - timedelta(days=1)
        for channel_id in await self._reports.channels():
            async with self._database.platform() as tx:
                found = await ProviderCheckRepository(tx).find(channel_id, start, end)
            if found is None or found.status == "unavailable":
                await self.check(channel_id, start, end)

    async def list(self, limit: int, before: tuple[datetime, UUID] | None) -> Sequence[Record]:
        """Return findings, newest first."""
        async with self._database.platform() as tx:
            return await ProviderCheckRepository(tx).list(limit, before)
