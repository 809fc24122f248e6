"""The garbage collector of a serving process.

CPython starts a collection after every 700 allocations that outlived their function, and every hundredth of
these walks through all objects there are. A call leaves few cycles, and hundreds of calls in flight keep
thousands of objects alive, so almost all of that is in vain: it was a quarter of the CPU of a settled call
(bench/ledger.py). What is there once the process serves is set aside for good, and collections come more
rarely.
"""

from __future__ import annotations

import gc

THRESHOLDS = (10_000, 20, 50)


def relax_collector() -> None:
    """Call once, when everything that lives as long as the process has been made."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
