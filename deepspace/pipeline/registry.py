"""The order of steps, and where a plug-in may stand in it.

A third-party step says between which named steps it belongs; start-up refuses an order that would break a
promise: nothing stands before auth, nothing between the call and the capture, nothing after the audit.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from deepspace.pipeline.exchange import Exchange

HOLD = "budget_hold"
BEFORE = ("auth", "rate_limit", "policy", "context_rag", "tool_skill", "workflow", HOLD)
CALL = "upstream_call"
AFTER = ("usage_capture", "audit")
ORDER = (*BEFORE, CALL, *AFTER)
REQUIRED = ("auth", "policy", HOLD, CALL, *AFTER)


class WrongOrder(ValueError):
    """A list of steps or a plug-in's place breaks the order of the request path."""


@runtime_checkable
class Step(Protocol):
    """A step before or after the call. Before: refuse by raising. After: never raise, be idempotent."""

    name: str

    async def __call__(self, x: Exchange) -> None:
        """Read what earlier steps wrote, write this step's fields."""
        ...


class CallStep(Protocol):
    """The step that speaks to the model."""

    name: str

    def __call__(self, x: Exchange) -> AsyncGenerator[bytes]:
        """Yield the bytes for the client as they come; a JSON answer is put on the exchange instead."""
        ...


@dataclass(frozen=True, slots=True)
class PluginStep:
    """A third party's step and its place: behind `after`, in front of `before` (names of ORDER)."""

    step: Step
    after: str
    before: str


def check_order(names: Sequence[str]) -> None:
    """Raise WrongOrder unless `names` are known, in order, and the indispensable ones are there."""
    unknown = [name for name in names if name not in ORDER]
    if unknown:
        raise WrongOrder(f"unknown step {unknown[0]!r}; a third party's step joins by PluginStep")
    if sorted(names, key=ORDER.index) != list(names) or len(set(names)) != len(names):
        raise WrongOrder(f"steps stand in the order {', '.join(ORDER)}, each once; got {', '.join(names)}")
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise WrongOrder(f"the step {missing[0]!r} is missing; without it a call would not be safe")


def place(steps: Sequence[Step], plugins: Sequence[PluginStep]) -> tuple[Step, ...]:
    """Return the steps before the call with the plug-ins among them; WrongOrder if one stands where it may
    not."""
    placed = list(steps)
    for plugin in plugins:
        name = plugin.step.name
        if name in ORDER or name in {step.name for step in placed}:
            raise WrongOrder(f"a plug-in may not be named {name!r}")
        if plugin.after not in BEFORE or plugin.before not in (*BEFORE[1:], CALL):
            raise WrongOrder(
                f"{name!r}: a plug-in stands behind auth and in front of {CALL}, not after the call"
            )
        if ORDER.index(plugin.after) >= ORDER.index(plugin.before):
            raise WrongOrder(f"{name!r} wants to stand behind {plugin.after} and in front of {plugin.before}")
        placed.insert(_position(placed, plugin), plugin.step)
    return tuple(placed)


def _position(placed: Sequence[Step], plugin: PluginStep) -> int:
    """Return the index in front of the first step at or behind `plugin.before`: plug-ins keep their own
    order."""
    limit = ORDER.index(plugin.before)
    for index, step in enumerate(placed):
        if step.name in ORDER and ORDER.index(step.name) >= limit:
            return index
    return len(placed)
