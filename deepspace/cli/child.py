"""A child process that is started again whenever it dies."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deepspace.kit.log import get_logger

log = get_logger(__name__)

_PR_SET_PDEATHSIG = 1
_BACKOFF_S = (0.1, 0.3, 1.0, 2.0)
_STEADY_S = 10.0


def die_with_parent(number: signal.Signals) -> Callable[[], None]:
    """Return a function for the child, before exec: have the kernel send it `number` when we die
    (prctl(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def prepare() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:
            os._exit(1)

    return prepare


async def nothing() -> None:
    """Prepare nothing."""


@dataclass(slots=True)
class Child:
    """One supervised process.

    It writes where we write, or to `log_file`.

    `stop_signal` asks it to end in order; after `grace_s` it is killed. `before` runs in front of each start.
    """

    name: str
    command: Callable[[], Sequence[str]]
    stop_signal: signal.Signals = signal.SIGTERM
    grace_s: float = 10.0
    user: str | None = None
    environment: Mapping[str, str] | None = None
    pass_fds: Sequence[int] = ()
    before: Callable[[], Awaitable[None]] = nothing
    log_file: Path | None = None
    process: asyncio.subprocess.Process | None = field(default=None, init=False)
    stopping: bool = field(default=False, init=False)
    restarts: int = field(default=0, init=False)

    async def keep_running(self) -> None:
        """Start the process, and again when it ends, until `stop` is called."""
        quick_deaths = 0
        while not self.stopping:
            started = time.monotonic()
            await self._start()
            if self.process is None:
                continue
            code = await self.process.wait()
            if self.stopping:
                return
            quick_deaths = 0 if time.monotonic() - started > _STEADY_S else quick_deaths + 1
            wait_s = _BACKOFF_S[min(quick_deaths, len(_BACKOFF_S) - 1)]
            self.restarts += 1
            log.error("child died, starting it again", child=self.name, code=code, wait_s=wait_s)
            await asyncio.sleep(wait_s)

    async def stop(self) -> None:
        """Ask the process to end, wait, and kill it if it does not."""
        self.stopping = True
        process = self.process
        if process is None or process.returncode is not None:
            return
        process.send_signal(self.stop_signal)
        try:
            async with asyncio.timeout(self.grace_s):
                await process.wait()
        except TimeoutError:
            log.warning("child did not stop in time, killing it", child=self.name)
            process.kill()
            await process.wait()

    async def _start(self) -> None:
        try:
            await self.before()
            output = self.log_file.open("ab") if self.log_file is not None else None
            self.process = await asyncio.create_subprocess_exec(
                *self.command(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                user=self.user,
                env=dict(self.environment) if self.environment is not None else None,
                pass_fds=tuple(self.pass_fds),
                preexec_fn=die_with_parent(self.stop_signal),
                start_new_session=True,
            )
            if output is not None:
                output.close()
        except Exception:
            log.exception("child could not be started", child=self.name)
            self.process = None
            await asyncio.sleep(1)
