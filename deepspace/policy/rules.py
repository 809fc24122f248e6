"""Access rules, decided by pure functions.

A rule allows or denies by model, by address or by time. Operators and the organisation each have their rules,
and both must let a request pass: none of their deny rules matches, and of each kind that has allow rules at
least one matches. So an empty list of allow rules means everything, a deny rule more never admits more, and
an organisation can only narrow what operators allow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from functools import lru_cache
from typing import Any, Literal, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from deepspace.kit.client_address import Address, Network, is_in, network_of
from deepspace.policy.guardrails.configured import guardrail_of

Kind = Literal["model", "ip", "time", "guardrail"]
Effect = Literal["allow", "deny"]
Mode = Literal["enforce", "dry_run"]

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class Facts:
    """What rules look at. `model` None: not a call to a model. `address` None: unknown, in no network."""

    model: str | None
    address: Address | None
    at: datetime


class Condition(Protocol):
    """Whether a rule speaks of a request."""

    def matches(self, facts: Facts) -> bool:
        """Tell."""
        ...


@dataclass(frozen=True, slots=True)
class Models:
    """Names of models; one that ends in `*` stands for all that begin so."""

    names: frozenset[str]
    prefixes: tuple[str, ...]

    def matches(self, facts: Facts) -> bool:
        """Tell whether the model is one of them."""
        return facts.model is not None and (
            facts.model in self.names or facts.model.startswith(self.prefixes)
        )


@dataclass(frozen=True, slots=True)
class Networks:
    """Addresses."""

    networks: tuple[Network, ...]

    def matches(self, facts: Facts) -> bool:
        """Tell whether the address lies in one of them."""
        return is_in(facts.address, self.networks)


@dataclass(frozen=True, slots=True)
class Window:
    """Some weekdays, from a time to a time on the clocks of a zone. `start` belongs to it, `end` does not.

    An end at or before the start lies on the following day: 22:00-06:00 on Friday ends on Saturday morning,
    and 00:00-00:00 is the whole day.
    """

    weekdays: frozenset[int]
    start: time
    end: time
    zone: ZoneInfo

    def matches(self, facts: Facts) -> bool:
        """Tell whether the moment lies within."""
        local = facts.at.astimezone(self.zone)
        day, now = local.weekday(), local.time()
        if self.start < self.end:
            return day in self.weekdays and self.start <= now < self.end
        began_yesterday = (day - 1) % 7 in self.weekdays and now < self.end
        return began_yesterday or (day in self.weekdays and now >= self.start)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule."""

    id: UUID
    by_platform: bool
    kind: Kind
    effect: Effect
    mode: Mode
    note: str
    condition: Condition


def condition_of(kind: Kind, values: Mapping[str, Any]) -> Condition:
    """Return the condition that was stored; KeyError or ValueError if it is none."""
    if kind == "model":
        names = frozenset(name for name in values["models"] if not name.endswith("*"))
        prefixes = tuple(name[:-1] for name in values["models"] if name.endswith("*"))
        return Models(names, prefixes)
    if kind == "ip":
        return Networks(tuple(network_of(text) for text in values["cidrs"]))
    if kind == "guardrail":
        return guardrail_of(values)
    days = frozenset(WEEKDAYS.index(day) for day in values["weekdays"])
    start, end = (time.fromisoformat(values[name]) for name in ("start", "end"))
    return Window(days, start, end, zone_of(values["time_zone"]))


@lru_cache(maxsize=600)
def zone_of(name: str) -> ZoneInfo:
    """Return a time zone by its IANA name; ValueError if there is none."""
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        raise ValueError(f"there is no time zone '{name}'") from None


def refusing(rules: Iterable[Rule], facts: Facts) -> Rule | None:
    """Return the rule by which a request is refused, None if it passes. No rule's mode is looked at."""
    unmet: dict[tuple[bool, Kind], Rule | None] = {}
    for rule in rules:
        if rule.kind == "model" and facts.model is None:
            continue
        matches = rule.condition.matches(facts)
        if rule.effect == "deny":
            if matches:
                return rule
            continue
        group = (rule.by_platform, rule.kind)
        if matches:
            unmet[group] = None
        else:
            unmet.setdefault(group, rule)
    return next((rule for rule in unmet.values() if rule is not None), None)


def watched(enforced: Sequence[Rule], dry_run: Sequence[Rule], facts: Facts) -> list[Rule]:
    """Return the dry-run rules that would refuse a request, each put beside the enforced ones alone."""
    return [rule for rule in dry_run if refusing([*enforced, rule], facts) is rule]


def sentence(rule: Rule, facts: Facts) -> str:
    """Return why a rule refuses, for the caller."""
    who = "The platform's policy" if rule.by_platform else "This organisation's policy"
    match rule.kind:
        case "model":
            what = f"the model '{facts.model}'"
        case "ip":
            what = f"requests from {facts.address or 'an unknown address'}"
        case "time":
            what = "calls at this time"
        case "guardrail":
            what = "this text"
    return f"{who} does not allow {what}."
