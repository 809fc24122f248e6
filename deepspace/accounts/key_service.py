"""Verbs of API keys: make, change, rotate, revoke. They take a transaction and never commit.

A key keeps its id over a rotation, and with it its budgets, limits, usage and place in the audit log; only
the text changes. The text before it works until the overlap ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from deepspace.accounts import keys
from deepspace.accounts.errors import KeyIsRevoked
from deepspace.accounts.key_repository import KeyRepository
from deepspace.kit.clock import Clock
from deepspace.kit.crypto import KeyRing
from deepspace.kit.db import Transaction
from deepspace.kit.errors import NotFound, ValidationFailed
from deepspace.kit.ids import uuid7


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """An API key just made or rotated: `secret` is shown once."""

    id: UUID
    secret: str
    hint: str


@dataclass(frozen=True, slots=True)
class KeyWish:
    """What a key is to be. None narrows nothing."""

    name: str
    project_id: UUID
    routes: Sequence[str] | None = None
    models: Sequence[str] | None = None
    project_ids: Sequence[UUID] = ()
    allowed_ips: Sequence[str] = ()
    expires_at: datetime | None = None

    def scopes(self) -> dict[str, Any]:
        """Return the stored form of the scopes."""
        found: dict[str, Any] = {}
        if self.routes is not None:
            found["routes"] = sorted(self.routes)
        if self.models is not None:
            found["models"] = list(self.models)
        if self.project_ids:
            found["projects"] = [str(project_id) for project_id in self.project_ids]
        return found


class KeyService:
    """API keys of organisations."""

    def __init__(self, ring: KeyRing, clock: Clock) -> None:
        """Derive the pepper of stored keys from the installation's secret."""
        self._pepper = ring.key("api-key-hmac.1")
        self._clock = clock

    async def issue(
        self, tx: Transaction, org_id: UUID, wish: KeyWish, *, created_by: UUID | None
    ) -> IssuedKey:
        """Make an API key."""
        repository = KeyRepository(tx, org_id)
        await self._check(repository, wish)
        new = keys.make_key()
        row_id = uuid7()
        await repository.add(
            id=row_id,
            project_id=wish.project_id,
            created_by=created_by,
            name=wish.name,
            key_id=new.key_id,
            secret_hmac=keys.key_hmac(self._pepper, new.text),
            hint=new.hint,
            scopes=wish.scopes(),
            allowed_ips=list(wish.allowed_ips),
            expires_at=wish.expires_at,
        )
        return IssuedKey(row_id, new.text, new.hint)

    async def change(self, tx: Transaction, org_id: UUID, row_id: UUID, wish: KeyWish) -> None:
        """Give a key another name, narrowing or end; KeyIsRevoked for one that is revoked."""
        repository = KeyRepository(tx, org_id)
        await self._good(repository, row_id)
        await self._check(repository, wish)
        await repository.change(
            row_id,
            name=wish.name,
            scopes=wish.scopes(),
            allowed_ips=list(wish.allowed_ips),
            expires_at=wish.expires_at,
        )

    async def rotate(self, tx: Transaction, org_id: UUID, row_id: UUID, *, overlap: timedelta) -> IssuedKey:
        """Give a key a new text. The present one works for `overlap` more; one from an earlier rotation ends
        now."""
        repository = KeyRepository(tx, org_id)
        row = await self._good(repository, row_id)
        new = keys.make_key()
        await repository.change(
            row_id,
            key_id=new.key_id,
            secret_hmac=keys.key_hmac(self._pepper, new.text),
            hint=new.hint,
            previous_key_id=row.key_id,
            previous_hmac=row.secret_hmac,
            previous_expires_at=self._clock.now() + overlap,
        )
        return IssuedKey(row_id, new.text, new.hint)

    async def revoke(self, tx: Transaction, org_id: UUID, row_id: UUID) -> None:
        """Revoke a key, a text that is rotated away included; a revoked key keeps its time."""
        repository = KeyRepository(tx, org_id)
        row = await repository.key(row_id, lock=True)
        if row is None:
            raise NotFound
        if row.revoked_at is None:
            await repository.change(row_id, revoked_at=self._clock.now())

    async def _good(self, repository: KeyRepository, row_id: UUID) -> Any:
        row = await repository.key(row_id, lock=True)
        if row is None:
            raise NotFound
        if row.revoked_at is not None:
            raise KeyIsRevoked
        return row

    async def _check(self, repository: KeyRepository, wish: KeyWish) -> None:
        """Raise ValidationFailed for a project that is not the organisation's or is archived, or for an end
        that has passed."""
        wanted = [wish.project_id, *wish.project_ids]
        found = await repository.live_projects(wanted)
        if wish.project_id not in found:
            raise ValidationFailed("There is no such project in this organisation.", param="project_id")
        if not found.issuperset(wanted):
            raise ValidationFailed("There is no such project in this organisation.", param="project_ids")
        if wish.expires_at is not None and wish.expires_at <= self._clock.now():
            raise ValidationFailed("A key cannot end in the past.", param="expires_at")
