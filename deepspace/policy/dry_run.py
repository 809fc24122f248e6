"""Dry run: who would have been refused in the last 24 hours, had a rule been in force.

The calls are those the audit log remembers, read through a port and summed by the minute, so that a day of
many calls is a few thousand groups.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from deepspace.kit.client_address import address_of
from deepspace.kit.clock import Clock
from deepspace.kit.db import Transaction
from deepspace.policy.rules import Facts, Rule, refusing

SPAN = timedelta(hours=24)
MAX_GROUPS = 50_000
MAX_EXAMPLES = 20


class CallGroup(Protocol):
    """Calls of one minute that no rule can tell apart."""

    @property
    def org_id(self) -> UUID:
        """Whose calls."""
        ...

    @property
    def model(self) -> str | None:
        """The model that was asked for."""
        ...

    @property
    def client_ip(self) -> str | None:
        """Where the calls came from; None if it was not recorded."""
        ...

    @property
    def user_id(self) -> str | None:
        """Who made them."""
        ...

    @property
    def api_key_id(self) -> str | None:
        """With which key."""
        ...

    @property
    def minute(self) -> datetime:
        """When, to the minute."""
        ...

    @property
    def calls(self) -> int:
        """How many."""
        ...

    @property
    def trace_id(self) -> str | None:
        """One of them."""
        ...


class RecordedCalls(Protocol):
    """The memory of calls that were let through."""

    async def since(
        self, tx: Transaction, org_id: UUID | None, since: datetime, limit: int
    ) -> Sequence[CallGroup]:
        """Return up to `limit` groups, newest first; of every organisation for None."""
        ...


@dataclass(slots=True)
class Outcome:
    """What a rule would have done. `not_judged` counts calls whose address was not recorded."""

    since: datetime
    calls: int = 0
    refused: int = 0
    not_judged: int = 0
    truncated: bool = False
    by_model: Counter[str] = field(default_factory=Counter[str])
    by_user: Counter[str] = field(default_factory=Counter[str])
    by_api_key: Counter[str] = field(default_factory=Counter[str])
    by_client_ip: Counter[str] = field(default_factory=Counter[str])
    examples: list[CallGroup] = field(default_factory=list[CallGroup])


def judge(groups: Sequence[CallGroup], enforced: Sequence[Rule], candidate: Rule, outcome: Outcome) -> None:
    """Add to `outcome` what `candidate` would have refused that the enforced rules let pass."""
    for group in groups:
        outcome.calls += group.calls
        if candidate.kind == "ip" and group.client_ip is None:
            outcome.not_judged += group.calls
            continue
        facts = Facts(group.model, address_of(group.client_ip or ""), group.minute)
        if refusing(enforced, facts) is not None or refusing([*enforced, candidate], facts) is None:
            continue
        outcome.refused += group.calls
        for counter, value in (
            (outcome.by_model, group.model),
            (outcome.by_user, group.user_id),
            (outcome.by_api_key, group.api_key_id),
            (outcome.by_client_ip, group.client_ip),
        ):
            if value is not None:
                counter[value] += group.calls
        if len(outcome.examples) < MAX_EXAMPLES:
            outcome.examples.append(group)


class DryRun:
    """Tries rules on what happened."""

    def __init__(self, calls: RecordedCalls, clock: Clock) -> None:
        """Read calls from this memory."""
        self._calls = calls
        self._clock = clock

    async def run(
        self, tx: Transaction, org_id: UUID | None, enforced: Sequence[Rule], candidate: Rule
    ) -> Outcome:
        """Return what `candidate`, put beside the rules in force, would have refused since SPAN ago."""
        since = self._clock.now() - SPAN
        groups = await self._calls.since(tx, org_id, since, MAX_GROUPS + 1)
        outcome = Outcome(since, truncated=len(groups) > MAX_GROUPS)
        judge(groups[:MAX_GROUPS], enforced, candidate, outcome)
        return outcome
