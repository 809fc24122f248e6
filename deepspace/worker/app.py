"""The worker process: runs the schedule until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress

from deepspace.kit.log import get_logger
from deepspace.settings import Settings
from deepspace.wiring import wire
from deepspace.worker.schedule import Job, schedule

log = get_logger(__name__)


async def run_worker(settings: Settings) -> None:
    """Run every job at its times until SIGTERM or SIGINT; a job under way is finished first."""
    platform = wire(settings)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await platform.ledger.start()
    try:
        await asyncio.gather(*(_repeat(job, stop) for job in schedule(platform)))
    finally:
        await platform.close()


async def _repeat(job: Job, stop: asyncio.Event) -> None:
    while not stop.is_set():
        try:
            await job.run()
        except Exception:
            log.exception("job failed; it is tried again at its next time", job=job.name)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), job.every.total_seconds())
