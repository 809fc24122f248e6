"""What guardrails found, on its way into the trace: which rule, what kind, how often; never the text."""

from __future__ import annotations

from uuid import UUID

from deepspace.pipeline.exchange import Exchange
from deepspace.policy.errors import GuardrailBlocked
from deepspace.policy.guardrails.port import ActiveGuard, Found, Side

STEP = "guardrails"
_EVENTS = {"block": "guardrail.blocked", "mask": "guardrail.masked", "log": "guardrail.noted"}


class Verdicts:
    """Notes what is found on one side of a call, one event for each rule; raises for a rule that blocks."""

    __slots__ = ("_counts", "_side", "_x")

    def __init__(self, x: Exchange, side: Side) -> None:
        """Nothing was found yet."""
        self._x = x
        self._side: Side = side
        self._counts: dict[UUID, dict[str, int]] = {}

    def __call__(self, active: ActiveGuard, found: Found) -> None:
        """Take a find; GuardrailBlocked if the call is to end here."""
        counts = self._counts.get(active.rule_id)
        if counts is None:
            counts = self._counts[active.rule_id] = {}
            self._x.note(
                STEP,
                _EVENTS[active.action],
                policy_id=str(active.rule_id),
                guard=active.guard.name,
                side=self._side,
                found=counts,
            )
        counts[found.kind] = counts.get(found.kind, 0) + 1
        if active.action == "block":
            what = "request" if self._side == "input" else "answer"
            kind = found.kind.replace("_", " ")
            raise GuardrailBlocked(f"A guardrail does not let this {what} pass: it has a {kind}.")
