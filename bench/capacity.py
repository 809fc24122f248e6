"""Suite `capacity`: how soon a gateway is ready, what it weighs, what it adds at a steady rate of calls, and
thousands of slow streams at once."""

from __future__ import annotations

import threading
import time

import psutil

from bench.exchanges import COST, JSON, SLOW, Exchange
from bench.gateway import PATH
from bench.load import Result, Target, drive, drive_steadily
from bench.measure import Options, cpu_seconds, percentile_ms, say
from bench.stack import Stack, running_stack

CALLS_PER_S = 500
STREAMS = (1000, 3000)


def run(options: Options) -> dict[str, object]:
    """Measure all of it on one gateway process and check the books."""
    with running_stack() as stack:
        idle = psutil.Process(stack.gateway_pid).memory_info().rss
        before = stack.wallet()
        steady, calls, faults = _steady(stack, options.seconds)
        streams: list[dict[str, object]] = []
        for count in STREAMS:
            found, made = _streams(stack, count)
            calls += made.calls
            faults += len(made.faults)
            streams.append(found)
        after = stack.wallet()
        moved, expected = before["balance"] - after["balance"], COST * calls
        return {
            "ok": moved == expected and after["frozen"] == 0 and not faults,
            "ready_after_s": stack.ready_after_s,
            "idle_memory_mib": round(idle / 2**20, 1),
            "steady": steady,
            "slow_streams": streams,
            "books": {"calls": calls, "moved": f"{moved:f}", "expected": f"{expected:f}"},
        }


def _targets(stack: Stack, exchange: Exchange) -> tuple[Target, Target]:
    direct = Target(stack.upstream_port, PATH, "sk-bench", exchange.body, exchange.from_upstream)
    return direct, Target(stack.gateway_port, PATH, stack.api_key, exchange.body, exchange.from_gateway)


def _steady(stack: Stack, seconds: float) -> tuple[dict[str, object], int, int]:
    direct, billed = _targets(stack, JSON)
    warm = drive(billed, 16, 1.0)
    straight = drive_steadily(direct, CALLS_PER_S, seconds)
    cpu = cpu_seconds(stack.gateway_pid) + cpu_seconds(stack.postgres_pid)
    through = drive_steadily(billed, CALLS_PER_S, seconds)
    cpu = cpu_seconds(stack.gateway_pid) + cpu_seconds(stack.postgres_pid) - cpu
    added = {
        f"added_p{round(share * 100)}_ms": round(
            percentile_ms(through.latencies_ns, share) - percentile_ms(straight.latencies_ns, share), 3
        )
        for share in (0.5, 0.95, 0.99)
    }
    found: dict[str, object] = {
        "calls_per_s": CALLS_PER_S,
        "calls": through.calls,
        "faults": through.faults[:3],
        **added,
        "cpu_us_per_call": round(cpu * 1e6 / max(1, through.calls)),
    }
    say(f"capacity: {found}")
    return found, warm.calls + through.calls, len(warm.faults) + len(through.faults)


def _streams(stack: Stack, count: int) -> tuple[dict[str, object], Result]:
    _, billed = _targets(stack, SLOW)
    gateway = psutil.Process(stack.gateway_pid)
    idle, peak, stop = gateway.memory_info().rss, 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not stop.wait(0.1):
            peak = max(peak, gateway.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.perf_counter()
    cpu = cpu_seconds(stack.gateway_pid)
    result = drive(billed, count, 0)
    cpu = cpu_seconds(stack.gateway_pid) - cpu
    stop.set()
    watcher.join()
    found: dict[str, object] = {
        "streams": count,
        "whole_and_right": result.calls,
        "faults": result.faults[:3],
        "seconds": round(time.perf_counter() - started, 1),
        "memory_kib_per_stream": round(max(0, peak - idle) / 1024 / count, 1),
        "gateway_cpu_us_per_stream": round(cpu * 1e6 / count),
    }
    say(f"capacity: {found}")
    return found, result
