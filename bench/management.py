"""Suite `management`: people at the web app, and a storm of sign-ins beside paid calls.

Fifty people each open a page (five requests, one after the other), think for a moment, and open the next.
Then the same without thinking, which shows where the ceiling is. Last, chat calls alone and chat calls while
a hundred clients try passwords as fast as they can: the ratio says what a storm of sign-ins costs all others.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import aiohttp

from bench.exchanges import JSON
from bench.load import Result, Target, drive
from bench.measure import Options, percentile_ms, say
from bench.stack import Stack, people, running_stack

USERS = 50
THINK_S = (0.5, 1.5)
STORM = 100
CHAT_CONNECTIONS = 4


def run(options: Options) -> dict[str, object]:
    """Measure people and a storm."""
    with running_stack() as stack:
        tokens = people(stack, USERS)
        # Asked for in a process that does nothing else: the generator shares the cores with what it measures.
        thoughtful = asyncio.run(_people(stack, tokens, options.seconds * 3, think=True))
        restless = asyncio.run(_people(stack, tokens, options.seconds, think=False))
        storm = _storm(stack, options.seconds)
    faults = thoughtful["faults"] or restless["faults"] or storm["faults"]
    return {
        "ok": not faults,
        "users": USERS,
        "thinking": thoughtful,
        "not_thinking": restless,
        "storm": storm,
    }


async def _people(stack: Stack, tokens: Sequence[str], seconds: float, *, think: bool) -> dict[str, object]:
    org = f"/api/organizations/{stack.organization_id}"
    page = ("/api/me", f"{org}/wallet", f"{org}/projects", f"{org}/usage?limit=20", f"{org}/transactions")
    latencies: list[int] = []
    faults: list[str] = []
    end = time.perf_counter() + seconds
    connector = aiohttp.TCPConnector(limit=0)
    base = f"http://127.0.0.1:{stack.gateway_port}"
    async with aiohttp.ClientSession(base, connector=connector, trust_env=False) as session:

        async def person(token: str) -> None:
            headers = {"authorization": f"Bearer {token}"}
            if think:
                await asyncio.sleep(random.uniform(0, THINK_S[1]))
            while time.perf_counter() < end:
                for path in page:
                    start = time.perf_counter_ns()
                    async with session.get(path, headers=headers) as response:
                        body = await response.read()
                    latencies.append(time.perf_counter_ns() - start)
                    if response.status != 200:
                        faults.append(f"{path}: {response.status} {body[:200]!r}")
                        return
                if think:
                    await asyncio.sleep(random.uniform(*THINK_S))

        start = time.perf_counter()
        await asyncio.gather(*(person(token) for token in tokens))
        elapsed = time.perf_counter() - start
    for fault in faults[:3]:
        say(f"FAULT {fault}")
    latencies.sort()
    found: dict[str, object] = {
        "requests_per_s": round(len(latencies) / elapsed, 1),
        "p50_ms": percentile_ms(latencies, 0.5),
        "p95_ms": percentile_ms(latencies, 0.95),
        "p99_ms": percentile_ms(latencies, 0.99),
        "faults": len(faults),
    }
    say(f"{len(tokens)} people, thinking {think}: {found}")
    return found


def _storm(stack: Stack, seconds: float) -> dict[str, object]:
    target = Target(stack.gateway_port, "/v1/chat/completions", stack.api_key, JSON.body, JSON.from_gateway)

    def chat() -> Result:
        return drive(target, CHAT_CONNECTIONS, seconds)

    chat()  # warm
    calm = chat()
    with ThreadPoolExecutor(1) as pool:
        tried = pool.submit(lambda: asyncio.run(_tries(stack, seconds + 1)))
        time.sleep(0.5)
        stormy = chat()
        answers = tried.result()
    refused = {str(status): answers.count(status) for status in sorted(set(answers))}
    quick = [percentile_ms(result.latencies_ns, 0.5) for result in (calm, stormy)]
    slow = [percentile_ms(result.latencies_ns, 0.99) for result in (calm, stormy)]
    found: dict[str, object] = {
        "attempts_per_s": round(len(answers) / (seconds + 1), 1),
        "answers_by_status": refused,
        "chat_p50_ms": quick,
        "chat_p99_ms": slow,
        "chat_p50_ratio": round(quick[1] / quick[0], 2),
        "chat_calls_per_s_ratio": round((calm.calls / calm.seconds) / (stormy.calls / stormy.seconds), 2),
        "faults": len(calm.faults) + len(stormy.faults),
    }
    say(f"storm: {found}")
    return found


async def _tries(stack: Stack, seconds: float) -> list[int]:
    """Try passwords of many accounts, as fast as answers come, and return the answers' statuses."""
    statuses: list[int] = []
    end = time.perf_counter() + seconds
    url = f"http://127.0.0.1:{stack.gateway_port}/api/auth/login"
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as session:

        async def client(number: int, more: Callable[[], bool]) -> None:
            attempt = 0
            while more():
                attempt += 1
                body = {"email": f"storm-{number}-{attempt}@example.org", "password": "a guess of no worth"}
                async with session.post(url, json=body) as response:
                    await response.read()
                    statuses.append(response.status)

        await asyncio.gather(*(client(number, lambda: time.perf_counter() < end) for number in range(STORM)))
    return statuses
