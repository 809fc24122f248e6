"""Suite `upstream`: the client of model calls alone, beside aiohttp, against the fake provider.

Both run in this process, in turns, so that other work on the machine weighs on both alike. What counts is the
CPU time of this process per call.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import aiohttp
import uvloop

from bench.exchanges import JSON, SSE, Exchange
from bench.measure import Options, say
from bench.stack import fake_upstream
from deepspace.upstream.catalogue import Route, Timeouts
from deepspace.upstream.http.client import HttpClient

ROUNDS = 3
PATH = "/chat/completions"
HEADERS = {"accept": "text/event-stream"}

Call = Callable[[Exchange], Awaitable[bytes]]


@dataclass(slots=True)
class _Measured:
    """Calls of one client, and the CPU time of its best round."""

    calls: int = 0
    faults: int = 0
    cpu_us_per_call: float = float("inf")


def run(options: Options) -> dict[str, object]:
    """Measure both clients with both exchanges at every concurrency."""
    with fake_upstream() as port:
        points = uvloop.run(_points(port, options))
    return {"ok": not any(point["faults"] for point in points), "rounds": ROUNDS, "points": points}


async def _points(port: int, options: Options) -> list[dict[str, object]]:
    points: list[dict[str, object]] = []
    async with _ours(port) as ours, _aiohttp(port) as theirs:
        for exchange in (JSON, SSE):
            for concurrency in options.concurrency:
                found = {"ours": _Measured(), "aiohttp": _Measured()}
                for _ in range(ROUNDS):
                    for name, call in (("ours", ours), ("aiohttp", theirs)):
                        await _round(call, exchange, concurrency, options.seconds / ROUNDS, found[name])
                points.append(_point(exchange, concurrency, found))
                say(f"{points[-1]}")
    return points


def _point(exchange: Exchange, concurrency: int, found: dict[str, _Measured]) -> dict[str, object]:
    ours, theirs = (found[name].cpu_us_per_call for name in ("ours", "aiohttp"))
    return {
        "kind": exchange.name,
        "concurrency": concurrency,
        "calls": sum(measured.calls for measured in found.values()),
        "faults": sum(measured.faults for measured in found.values()),
        "cpu_us_per_call": round(ours, 1),
        "aiohttp_cpu_us_per_call": round(theirs, 1),
        "ratio": round(theirs / ours, 2),
    }


async def _round(
    call: Call, exchange: Exchange, concurrency: int, seconds: float, measured: _Measured
) -> None:
    calls = 0
    end = time.perf_counter() + seconds

    async def one_after_the_other() -> None:
        nonlocal calls
        while time.perf_counter() < end:
            measured.faults += await call(exchange) != exchange.from_upstream
            calls += 1

    before = time.process_time()
    await asyncio.gather(*(one_after_the_other() for _ in range(concurrency)))
    spent_us = (time.process_time() - before) * 1e6 / calls
    measured.calls += calls
    measured.cpu_us_per_call = min(measured.cpu_us_per_call, spent_us)


@asynccontextmanager
async def _ours(port: int) -> AsyncIterator[Call]:
    client = HttpClient()
    base_url = f"http://127.0.0.1:{port}/v1"
    route = Route(
        channel_id=UUID(int=1),
        channel_name="bench",
        kind="newapi",
        base_url=base_url,
        api_key="sk-bench",
        model="bench",
        upstream_model="bench",
        context_length=None,
        max_output_tokens=64,
        timeouts=Timeouts(),
        on_disconnect="drain",
        created_at=datetime.now(UTC),
    )

    async def call(exchange: Exchange) -> bytes:
        response = await client.post(route, PATH, exchange.body, HEADERS)
        body = b"".join([chunk async for chunk in response.chunks()])
        await response.close()
        return body

    yield call
    await client.close()


@asynccontextmanager
async def _aiohttp(port: int) -> AsyncIterator[Call]:
    headers = {"content-type": "application/json", "authorization": "Bearer sk-bench", **HEADERS}
    url = f"http://127.0.0.1:{port}/v1{PATH}"
    idle_s = 60
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1000)) as session:

        async def call(exchange: Exchange) -> bytes:
            async with asyncio.timeout(120):
                response = await session.post(url, data=exchange.body, headers=headers)
            parts: list[bytes] = []
            while True:
                async with asyncio.timeout(idle_s):
                    chunk = await response.content.readany()
                if not chunk:
                    break
                parts.append(chunk)
            response.release()
            return b"".join(parts)

        yield call
