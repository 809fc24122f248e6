"""Named points at which a test can have the process die, as if by kill -9.

`FAILPOINTS=settle.before_commit,hold.after_commit:3` ends the process the first time it reaches the first
point and the third time it reaches the second. Without the variable a point costs one look into an empty
dictionary.
"""

from __future__ import annotations

import os

POINTS = frozenset(
    {
        "hold.before_commit",
        "hold.after_commit",
        "call.before_send",
        "call.after_head",
        "settle.before_commit",
        "settle.after_commit",
        "sweep.before_settle",
    }
)
"""Where the crash contract (docs/billing.md) is tested."""

EXIT_CODE = 137


def _armed(text: str) -> dict[str, int]:
    armed: dict[str, int] = {}
    for part in filter(None, text.split(",")):
        name, _, count = part.partition(":")
        if name not in POINTS:
            raise ValueError(f"FAILPOINTS: there is no point {name!r}")
        armed[name] = int(count or "1")
    return armed


_ARMED = _armed(os.environ.get("FAILPOINTS", ""))


def reach(name: str) -> None:
    """Die here if a test asked for it."""
    if name in _ARMED:
        _ARMED[name] -= 1
        if _ARMED[name] == 0:
            os._exit(EXIT_CODE)
