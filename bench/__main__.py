"""Run suites and print one JSON on standard output; progress goes to standard error.

python -m bench [--suite NAME ...] [--seconds S] [--concurrency N ...]

Exits 1 if a suite found a wrong answer or books that do not balance: a fast wrong answer is no result.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping

from bench import capacity, gateway, ledger, limits, management, upstream
from bench.measure import Options, machine

SUITES: Mapping[str, Callable[[Options], dict[str, object]]] = {
    "capacity": capacity.run,
    "gateway": gateway.run,
    "ledger": ledger.run,
    "limits": limits.run,
    "management": management.run,
    "upstream": upstream.run,
}
"""Every suite by name. Its result has the field `ok`."""


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--suite", action="append", choices=sorted(SUITES), help="default: every suite")
    parser.add_argument("--seconds", type=float, default=3.0, help="duration of each point (default 3)")
    parser.add_argument(
        "--concurrency", type=int, nargs="+", default=[1, 16, 64], help="connections (default 1 16 64)"
    )
    found = parser.parse_args()
    if found.seconds <= 0 or min(found.concurrency) < 1:
        parser.error("--seconds must be above 0 and --concurrency at least 1")
    options = Options(found.seconds, tuple(found.concurrency))
    results = {name: SUITES[name](options) for name in found.suite or SUITES}
    json.dump({"machine": machine(), "suites": results}, sys.stdout, indent=1)
    print()
    return 0 if all(result["ok"] for result in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
