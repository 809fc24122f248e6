"""Suite `gateway`: what the platform adds to a call, and whether the books agree afterwards.

The same load goes straight at the fake provider, through nginx and LiteLLM if there are such, and through the
gateway, point by point, so that the ratios say something on any machine.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.exchanges import COST, JSON, SSE, Exchange
from bench.litellm import litellm_proxy
from bench.load import Result, Target, drive
from bench.measure import Options, cpu_seconds, percentile_ms, say
from bench.nginx import nginx_proxy
from bench.stack import Stack, running_stack

PATH = "/v1/chat/completions"
WARM_UP_S = 0.5


@dataclass(slots=True)
class _Tally:
    """Calls that must have been paid for, and what went wrong."""

    calls: int = 0
    faults: int = 0


def run(options: Options) -> dict[str, object]:
    """Measure every point and compare the wallet's movement with calls × cost."""
    tally = _Tally()
    with (
        running_stack() as stack,
        nginx_proxy(stack.directory, stack.upstream_port) as nginx,
        litellm_proxy(stack.directory, stack.upstream_port) as litellm,
    ):
        before = stack.wallet()
        points = [
            _point(stack, exchange, concurrency, options.seconds, tally)
            | {
                "nginx": _through(nginx, exchange, exchange.from_upstream, concurrency, options.seconds),
                "litellm": _through(litellm, exchange, None, concurrency, options.seconds),
            }
            for exchange in (JSON, SSE)
            for concurrency in options.concurrency
        ]
        after = stack.wallet()
    moved, expected = before["balance"] - after["balance"], COST * tally.calls
    balanced = moved == expected and after["frozen"] == 0
    verdict = "ok" if balanced else "WRONG"
    say(f"books: {tally.calls} calls, wallet moved {moved}, expected {expected}: {verdict}")
    return {
        "ok": balanced and not tally.faults,
        "seconds_per_point": options.seconds,
        "points": points,
        "books": {
            "calls": tally.calls,
            "cost_per_call": f"{COST:f}",
            "expected": f"{expected:f}",
            "moved": f"{moved:f}",
            "frozen_at_the_end": f"{after['frozen']:f}",
            "balanced": balanced,
        },
    }


def _point(
    stack: Stack, exchange: Exchange, concurrency: int, seconds: float, tally: _Tally
) -> dict[str, object]:
    direct = Target(stack.upstream_port, PATH, "sk-bench", exchange.body, exchange.from_upstream)
    billed = Target(stack.gateway_port, PATH, stack.api_key, exchange.body, exchange.from_gateway)
    straight = _checked(drive(direct, concurrency, seconds), tally)
    tally.calls += _checked(drive(billed, concurrency, min(WARM_UP_S, seconds)), tally).calls
    gateway_s, postgres_s = cpu_seconds(stack.gateway_pid), cpu_seconds(stack.postgres_pid)
    through = _checked(drive(billed, concurrency, seconds), tally)
    gateway_s = cpu_seconds(stack.gateway_pid) - gateway_s
    postgres_s = cpu_seconds(stack.postgres_pid) - postgres_s
    tally.calls += through.calls
    found = {
        "kind": exchange.name,
        "concurrency": concurrency,
        "gateway": _numbers(through)
        | {
            "gateway_cpu_us_per_call": _per_call(gateway_s, through),
            "postgres_cpu_us_per_call": _per_call(postgres_s, through),
        },
        "direct": _numbers(straight),
        "ratio": _ratio(through, straight),
    }
    say(f"{exchange.name} × {concurrency}: {found['gateway']} direct {found['direct']}")
    return found


def _through(
    proxy: tuple[int, int] | None,
    exchange: Exchange,
    expected: bytes | None,
    concurrency: int,
    seconds: float,
) -> dict[str, object] | None:
    """Return the same figures of a proxy that books nothing; None where it is not there."""
    if proxy is None:
        return None
    port, pid = proxy
    target = Target(port, PATH, "sk-bench", exchange.body, expected)
    drive(target, concurrency, min(WARM_UP_S, seconds))
    cpu = cpu_seconds(pid)
    result = drive(target, concurrency, seconds)
    if not result.calls:
        return {"calls": 0, "faults": len(result.faults), "first_fault": result.faults[:1]}
    return _numbers(result) | {"cpu_us_per_call": _per_call(cpu_seconds(pid) - cpu, result)}


def _checked(result: Result, tally: _Tally) -> Result:
    for fault in result.faults[:3]:
        say(f"FAULT {fault}")
    tally.faults += len(result.faults)
    if not result.calls:
        raise SystemExit("bench: not one call came back right; see the faults above")
    return result


def _numbers(result: Result) -> dict[str, object]:
    return {
        "calls": result.calls,
        "faults": len(result.faults),
        "calls_per_s": round(result.calls / result.seconds, 1),
        "p50_ms": percentile_ms(result.latencies_ns, 0.50),
        "p95_ms": percentile_ms(result.latencies_ns, 0.95),
        "p99_ms": percentile_ms(result.latencies_ns, 0.99),
        "first_byte_p50_ms": percentile_ms(result.first_bytes_ns, 0.50),
    }


def _ratio(through: Result, straight: Result) -> dict[str, float]:
    """Return how many times slower the way through the gateway is than the straight one."""
    slow, fast = (percentile_ms(result.latencies_ns, 0.5) for result in (through, straight))
    return {
        "p50": round(slow / fast, 2),
        "added_p50_ms": round(slow - fast, 3),
        "calls_per_s": round((straight.calls / straight.seconds) / (through.calls / through.seconds), 2),
    }


def _per_call(seconds: float, result: Result) -> float:
    return round(seconds * 1e6 / result.calls, 1)
