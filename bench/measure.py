"""What every suite needs: options, percentiles, the CPU time of a process tree, the machine's size."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asked for."""

    seconds: float
    concurrency: tuple[int, ...]


def say(line: str) -> None:
    """Report progress."""
    print(line, file=sys.stderr, flush=True)


def percentile_ms(latencies_ns: Sequence[int], share: float) -> float:
    """Return the nearest-rank percentile of a sorted, non-empty list, in milliseconds."""
    rank = max(0, -(-len(latencies_ns) * int(share * 1000) // 1000) - 1)
    return round(latencies_ns[rank] / 1e6, 3)


def cpu_seconds(pid: int) -> float:
    """Return user + system time of a process, its live descendants, and the descendants it has reaped."""
    root = psutil.Process(pid)
    total = 0.0
    for process in (root, *root.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def machine() -> dict[str, object]:
    """Return what a reader needs to judge the numbers."""
    model = "unknown"
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(
            (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), model
        )
    return {
        "cpus": os.cpu_count(),
        "cpu_model": model,
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "load_average_1m": round(os.getloadavg()[0], 2),
        "system": platform.platform(),
        "python": platform.python_version(),
    }
