"""Which limits apply to a call.

A rule names a kind of subject and perhaps one of them; without a name it is the default of each subject of
that kind. Operators and the organisation each have their rules: within one of the two the named rule takes
the place of the default, and the rules of both must admit. So an organisation can narrow what operators allow
and never widen it. Everything is counted per organisation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from deepspace.accounts.events import OrganizationEvents
from deepspace.accounts.subjects import demand_subject
from deepspace.kit.cache import ReadThrough
from deepspace.kit.db import Database, Record, Transaction
from deepspace.kit.errors import NotFound, ValidationFailed
from deepspace.kit.ids import uuid7
from deepspace.policy.limiter import Bucket
from deepspace.policy.repository import RateLimitRepository, limits_binding

Subject = Literal["api_key", "user", "project", "organization", "model"]

Named = UUID | str | None
"""Which of a kind: an id, or the name of a model."""

CACHE_AGE_S = 1.0


@dataclass(frozen=True, slots=True)
class LimitRule:
    """What is set for a subject. None: not limited in that."""

    rpm: int | None
    tpm: int | None
    parallel: int | None


@dataclass(frozen=True, slots=True)
class Applied:
    """A limit that applies to a call: its bucket, and the words to speak of it."""

    bucket: Bucket
    by_platform: bool
    subject: Subject
    value: str


class OrgLimits:
    """The rules an organisation's calls are held to."""

    def __init__(self, rows: Iterable[Any]) -> None:
        """Index rows of rate_limits."""
        self._rules: Mapping[tuple[bool, str, Named], LimitRule] = {
            (row.org_id is None, row.subject, _value(row)): LimitRule(row.rpm, row.tpm, row.parallel)
            for row in rows
        }

    def __bool__(self) -> bool:
        """Whether there is any rule."""
        return bool(self._rules)

    def applying(self, subjects: Sequence[tuple[Subject, Named]], tokens: Callable[[], int]) -> list[Applied]:
        """Return the limits of a call of these subjects; `tokens` estimates what it will use."""
        found: list[Applied] = []
        for by_platform in (True, False):
            for subject, value in subjects:
                if value is None:
                    continue
                rule = self._rules.get((by_platform, subject, value))
                rule = rule or self._rules.get((by_platform, subject, None))
                if rule is not None:
                    found += _buckets(rule, by_platform, subject, str(value), tokens)
        return found


def _buckets(
    rule: LimitRule, by_platform: bool, subject: Subject, value: str, tokens: Callable[[], int]
) -> Iterable[Applied]:
    name = f"{'platform' if by_platform else 'own'}:{subject}:{value}"
    if rule.rpm is not None:
        bucket = Bucket(f"{name}:requests", "requests", rule.rpm)
        yield Applied(bucket, by_platform, subject, value)
    if rule.tpm is not None:
        bucket = Bucket(f"{name}:tokens", "tokens", rule.tpm, tokens())
        yield Applied(bucket, by_platform, subject, value)
    if rule.parallel is not None:
        bucket = Bucket(f"{name}:parallel", "parallel", rule.parallel)
        yield Applied(bucket, by_platform, subject, value)


def _value(row: Any) -> Named:
    """Return the name a rule gives its subject. An organisation's rule for `organization` means itself."""
    return row.model if row.subject == "model" else row.subject_id


class LimitBook:
    """Each organisation's rules, remembered for a second: a change is seen everywhere within it."""

    def __init__(self, database: Database, *, max_age_s: float = CACHE_AGE_S) -> None:
        """Read from this database."""
        self._database = database
        self._orgs = ReadThrough(self._load, max_age_s=max_age_s, max_entries=20_000)

    async def of(self, org_id: UUID) -> OrgLimits:
        """Return the rules of an organisation."""
        return await self._orgs.get(org_id)

    def forget(self, org_id: UUID | None) -> None:
        """Look the rules up again at the next call; for None those of everybody."""
        if org_id is None:
            self._orgs.forget_where(lambda _: True)
        else:
            self._orgs.forget(org_id)

    async def _load(self, org_id: UUID) -> OrgLimits:
        async with self._database.platform() as tx:
            return OrgLimits(await limits_binding(tx, org_id))


class RateLimitService:
    """Sets, lists and removes limits: an organisation's, or (org_id None) the operators' own. `actor_id` is
    who does it."""

    def __init__(self, events: OrganizationEvents) -> None:
        """Tell `events` of changes."""
        self._events = events

    async def put(
        self,
        tx: Transaction,
        org_id: UUID | None,
        *,
        actor_id: UUID | None,
        subject: Subject,
        subject_id: UUID | None,
        model: str | None,
        limits: LimitRule,
    ) -> Record:
        """Set what a subject is limited to; what it was limited to before is replaced as a whole.

        ValidationFailed for a subject that is not this organisation's.
        """
        if (subject == "model" and subject_id is not None) or (subject != "model" and model is not None):
            raise ValidationFailed(
                "A model is named by `model`, anything else by `subject_id`.", param="model"
            )
        if subject == "organization" and org_id is not None and subject_id not in {None, org_id}:
            raise ValidationFailed("This is another organisation's id.", param="subject_id")
        if subject == "organization" and org_id is not None:
            subject_id = None
        if org_id is not None and subject_id is not None:
            await demand_subject(tx, org_id, subject, subject_id, param="subject_id")
        values = {"rpm": limits.rpm, "tpm": limits.tpm, "parallel": limits.parallel}
        if not any(values.values()):
            raise ValidationFailed("At least one of rpm, tpm and parallel is needed.", param="rpm")
        named = {"subject": subject, "subject_id": subject_id, "model": model}
        row = await RateLimitRepository(tx, org_id).put(uuid7(), named, values)
        await self._events.append(tx, "rate_limit.set", org_id, actor_id, limit_id=row.id, **named, **values)
        return row

    async def list(self, tx: Transaction, org_id: UUID | None) -> Sequence[Record]:
        """Return the limits, oldest first."""
        return await RateLimitRepository(tx, org_id).all()

    async def remove(
        self, tx: Transaction, org_id: UUID | None, limit_id: UUID, *, actor_id: UUID | None
    ) -> None:
        """Remove a limit; NotFound if there is none."""
        if not await RateLimitRepository(tx, org_id).remove(limit_id):
            raise NotFound
        await self._events.append(tx, "rate_limit.removed", org_id, actor_id, limit_id=limit_id)
