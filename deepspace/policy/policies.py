"""The access rules in force: remembered for a second, held against calls and requests, and changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from deepspace.accounts.events import OrganizationEvents
from deepspace.kit.cache import ReadThrough
from deepspace.kit.client_address import address_of
from deepspace.kit.clock import Clock
from deepspace.kit.db import Database, Record, Transaction
from deepspace.kit.errors import NotFound
from deepspace.kit.ids import uuid7
from deepspace.policy.errors import PolicyLocksOut, PolicyRefused
from deepspace.policy.guardrails.port import ActiveGuard, Guardrail
from deepspace.policy.repository import PolicyRepository, rules_binding
from deepspace.policy.rules import Effect, Facts, Kind, Mode, Rule, condition_of, refusing, sentence, watched

CACHE_AGE_S = 1.0


def rule_of(row: Any) -> Rule:
    """Return the rule a row of policy_rules states."""
    condition = condition_of(row.kind, row.condition)
    return Rule(row.id, row.org_id is None, row.kind, row.effect, row.mode, row.note, condition)


def _in_force(rule: Rule) -> ActiveGuard:
    """Return the guardrail a rule states; one that is only watched looks, and lets everything pass."""
    if not isinstance(rule.condition, Guardrail):
        raise TypeError(f"rule {rule.id} is no guardrail")
    found = rule.condition
    return ActiveGuard(rule.id, found.guard, found.action if rule.mode == "enforce" else "log", found.sides)


class RuleSet:
    """The rules an organisation (or, without one, everybody) is held to; guardrails stand apart in
    `guards`."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        """Sort them."""
        rules = tuple(rules)
        self.guards = tuple(_in_force(rule) for rule in rules if rule.kind == "guardrail")
        rules = tuple(rule for rule in rules if rule.kind != "guardrail")
        self.enforced = tuple(rule for rule in rules if rule.mode == "enforce")
        self.dry_run = tuple(rule for rule in rules if rule.mode == "dry_run")
        self.addresses = tuple(rule for rule in self.enforced if rule.kind == "ip")

    def __bool__(self) -> bool:
        """Whether there is any rule on models, addresses or times."""
        return bool(self.enforced or self.dry_run)

    def hold(self, model: str, client_ip: str, at: datetime) -> Sequence[Rule]:
        """Raise PolicyRefused if a call is not allowed; return the dry-run rules that would refuse it."""
        facts = Facts(model, address_of(client_ip), at)
        rule = refusing(self.enforced, facts)
        if rule is not None:
            raise PolicyRefused(sentence(rule, facts), param="model" if rule.kind == "model" else None)
        return watched(self.enforced, self.dry_run, facts) if self.dry_run else ()

    def permits(self, model: str, client_ip: str, at: datetime) -> bool:
        """Tell whether `hold` would let a call pass."""
        return refusing(self.enforced, Facts(model, address_of(client_ip), at)) is None


class PolicyBook:
    """Each organisation's rules, remembered for a second: a change is seen everywhere within it."""

    def __init__(self, database: Database, *, max_age_s: float = CACHE_AGE_S) -> None:
        """Read from this database."""
        self._database = database
        self._sets = ReadThrough(self._load, max_age_s=max_age_s, max_entries=20_000)

    async def of(self, org_id: UUID | None) -> RuleSet:
        """Return the rules of an organisation with the operators'; for None the operators' alone."""
        return await self._sets.get(org_id)

    def forget(self, org_id: UUID | None) -> None:
        """Look the rules up again at the next call; for None those of everybody."""
        if org_id is None:
            self._sets.forget_where(lambda _: True)
        else:
            self._sets.forget(org_id)

    async def _load(self, org_id: UUID | None) -> RuleSet:
        async with self._database.platform() as tx:
            return RuleSet(rule_of(row) for row in await rules_binding(tx, org_id))


class ApiGate:
    """Holds the management API's callers against the address rules. Models and times are for calls alone.

    The loopback is never refused here by operators' rules: whoever may sign in on the machine itself (or
    through a tunnel to it) can take back a rule that locks everybody out.
    """

    def __init__(self, book: PolicyBook, clock: Clock) -> None:
        """Read rules from this book."""
        self._book = book
        self._clock = clock

    async def admit(self, client_ip: str) -> None:
        """Raise PolicyRefused for an address that operators refuse. Before it is known who asks."""
        rules = (await self._book.of(None)).addresses
        if rules:
            self._hold(rules, client_ip)

    async def admit_to(self, org_id: UUID, client_ip: str) -> None:
        """Raise PolicyRefused for an address that an organisation refuses to its members."""
        rules = (await self._book.of(org_id)).addresses
        if rules:
            self._hold([rule for rule in rules if not rule.by_platform], client_ip)

    def _hold(self, rules: Sequence[Rule], client_ip: str) -> None:
        facts = Facts(None, address_of(client_ip), self._clock.now())
        rule = refusing(rules, facts)
        if rule is not None and not (rule.by_platform and _is_loopback(facts)):
            raise PolicyRefused(sentence(rule, facts))


def _is_loopback(facts: Facts) -> bool:
    return facts.address is not None and facts.address.is_loopback


@dataclass(frozen=True, slots=True)
class Changer:
    """Who changes rules, and the address they must not lock out: None if they are not held to the rules."""

    user_id: UUID | None
    held_to: str | None


class PolicyService:
    """Makes, lists and removes rules: an organisation's, or (org_id None) the operators' own."""

    def __init__(self, clock: Clock, events: OrganizationEvents) -> None:
        """Use this clock; tell `events` of changes."""
        self._clock = clock
        self._events = events

    async def add(
        self,
        tx: Transaction,
        org_id: UUID | None,
        *,
        kind: Kind,
        effect: Effect,
        mode: Mode,
        note: str,
        condition: Mapping[str, Any],
        by: Changer,
    ) -> Record:
        """Make a rule; PolicyLocksOut if it would refuse the address of whoever makes it."""
        values = {"kind": kind, "effect": effect, "mode": mode, "note": note, "condition": dict(condition)}
        row = await PolicyRepository(tx, org_id).add(id=uuid7(), **values)
        await self._keep_open(tx, org_id, by)
        await self._events.append(
            tx, "policy.created", org_id, by.user_id, policy_id=row.id, kind=kind, effect=effect, mode=mode
        )
        return row

    async def list(self, tx: Transaction, org_id: UUID | None, kind: Kind | None = None) -> Sequence[Record]:
        """Return the rules (of one kind), oldest first."""
        return await PolicyRepository(tx, org_id).all(kind)

    async def set_mode(
        self, tx: Transaction, org_id: UUID | None, rule_id: UUID, mode: Mode, *, by: Changer
    ) -> Record:
        """Enforce a rule, or only watch it; raises as `add` does, or NotFound."""
        row = await PolicyRepository(tx, org_id).set_mode(rule_id, mode)
        if row is None:
            raise NotFound
        await self._keep_open(tx, org_id, by)
        await self._events.append(tx, "policy.changed", org_id, by.user_id, policy_id=rule_id, mode=mode)
        return row

    async def remove(
        self,
        tx: Transaction,
        org_id: UUID | None,
        rule_id: UUID,
        *,
        by: Changer,
        kind: Kind | None = None,
    ) -> None:
        """Remove a rule; raises as `set_mode` does: taking away one of two allow rules can lock out too."""
        if not await PolicyRepository(tx, org_id).remove(rule_id, kind):
            raise NotFound
        await self._keep_open(tx, org_id, by)
        await self._events.append(tx, "policy.removed", org_id, by.user_id, policy_id=rule_id)

    async def remove_address_rules(self, tx: Transaction, org_id: UUID | None) -> int:
        """Remove every rule on addresses, on the platform's word, and return how many there were: the way
        back for whoever is locked out."""
        policies = PolicyRepository(tx, org_id)
        rows = await policies.all("ip")
        for row in rows:
            await policies.remove(row.id, "ip")
            await self._events.append(tx, "policy.removed", org_id, None, policy_id=row.id)
        return len(rows)

    async def _keep_open(self, tx: Transaction, org_id: UUID | None, by: Changer) -> None:
        """Raise PolicyLocksOut if the rules, as they are now, refuse the changer's address the management
        API."""
        client_ip = by.held_to
        if client_ip is None:
            return
        rules = RuleSet(rule_of(row) for row in await PolicyRepository(tx, org_id).all("ip")).addresses
        facts = Facts(None, address_of(client_ip), self._clock.now())
        if refusing(rules, facts) is not None and not (org_id is None and _is_loopback(facts)):
            raise PolicyLocksOut
