"""Every periodic job, in one table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from deepspace.accounts.jobs import forget_expired_sign_ins
from deepspace.billing.jobs import check_invariants, forget_old_answers
from deepspace.wiring import Platform


@dataclass(frozen=True, slots=True)
class Job:
    """A job and how often it runs. A run that fails is logged and tried again at the next time."""

    name: str
    every: timedelta
    run: Callable[[], Awaitable[None]]


def schedule(platform: Platform) -> Sequence[Job]:
    """Return the jobs of a worker."""
    database, sweeper = platform.database, platform.sweeper
    sweep_every = timedelta(seconds=min(10, platform.settings.hold_ttl_s / 4))

    async def sweep() -> None:
        await sweeper.sweep()

    async def invariants() -> None:
        await check_invariants(database)

    async def providers() -> None:
        await platform.provider_checks.check_yesterday()

    async def answers() -> None:
        await forget_old_answers(database)

    async def sign_ins() -> None:
        await forget_expired_sign_ins(database, platform.clock)

    return (
        Job("sweep overdue holds", sweep_every, sweep),
        Job("check the invariants of the books", timedelta(minutes=1), invariants),
        Job("hold the books against the providers", timedelta(hours=1), providers),
        Job("forget stored answers", timedelta(hours=1), answers),
        Job("forget sign-ins that ended", timedelta(hours=1), sign_ins),
    )
