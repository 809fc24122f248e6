"""Verbs of API keys: make, change, rotate, revoke. They take a transaction and never commit.

A key keeps its id over a rotation, and with it its budgets, limits, usage and place in the audit log; only
the text changes. The text before it works until the overlap ends.

Whoever gets to know a key can do what it can. So whoever makes, changes or rotates one holds that too, in
each of its projects, at that moment (accounts/granting.py: nobody gives what they do not hold).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from deepspace.accounts import keys
from deepspace.accounts.errors import KeyIsRevoked
from deepspace.accounts.events import OrganizationEvents
from deepspace.accounts.granting import Actor
from deepspace.accounts.key_repository import KeyRepository
from deepspace.accounts.permissions import API_KEY_PERMISSIONS
from deepspace.accounts.principal import Principal
from deepspace.accounts.projects import place_of_project
from deepspace.accounts.scopes import read_scopes
from deepspace.accounts.standing import locked_actor
from deepspace.kit.clock import Clock
from deepspace.kit.crypto import KeyRing
from deepspace.kit.db import Transaction
from deepspace.kit.errors import NotFound, PermissionDenied, ValidationFailed
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

    def __init__(self, ring: KeyRing, clock: Clock, events: OrganizationEvents) -> None:
        """Derive the pepper of stored keys from the installation's secret."""
        self._pepper = ring.key("api-key-hmac.1")
        self._clock = clock
        self._events = events

    async def make(self, tx: Transaction, org_id: UUID, principal: Principal, wish: KeyWish) -> IssuedKey:
        """Make an API key on a member's word."""
        actor = await locked_actor(tx, org_id, principal, "api_keys:write")
        await self._demand(KeyRepository(tx, org_id), actor, [wish.project_id, *wish.project_ids])
        return await self.issue(tx, org_id, wish, created_by=actor.user_id)

    async def issue(
        self, tx: Transaction, org_id: UUID, wish: KeyWish, *, created_by: UUID | None
    ) -> IssuedKey:
        """Make an API key on the platform's word: nobody's permission is asked."""
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
        await self._tell(tx, "api_key.created", org_id, created_by, row_id, wish.name)
        return IssuedKey(row_id, new.text, new.hint)

    async def change(
        self, tx: Transaction, org_id: UUID, principal: Principal, row_id: UUID, wish: KeyWish
    ) -> None:
        """Give a key another name, narrowing or end; KeyIsRevoked for one that is revoked."""
        actor = await locked_actor(tx, org_id, principal, "api_keys:write")
        repository = KeyRepository(tx, org_id)
        row = await self._good(repository, row_id)
        await self._demand(repository, actor, [*_projects(row), *wish.project_ids])
        await self._check(repository, wish)
        await repository.change(
            row_id,
            name=wish.name,
            scopes=wish.scopes(),
            allowed_ips=list(wish.allowed_ips),
            expires_at=wish.expires_at,
        )
        await self._tell(tx, "api_key.changed", org_id, actor.user_id, row_id, wish.name)

    async def rotate(
        self, tx: Transaction, org_id: UUID, principal: Principal, row_id: UUID, *, overlap: timedelta
    ) -> IssuedKey:
        """Give a key a new text. The present one works for `overlap` more; one from an earlier rotation ends
        now."""
        actor = await locked_actor(tx, org_id, principal, "api_keys:write")
        repository = KeyRepository(tx, org_id)
        row = await self._good(repository, row_id)
        await self._demand(repository, actor, _projects(row))
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
        await self._tell(tx, "api_key.rotated", org_id, actor.user_id, row_id, row.name)
        return IssuedKey(row_id, new.text, new.hint)

    async def revoke(self, tx: Transaction, org_id: UUID, principal: Principal, row_id: UUID) -> None:
        """Revoke a key, a text that is rotated away included; a revoked key keeps its time."""
        actor = await locked_actor(tx, org_id, principal, "api_keys:write")
        repository = KeyRepository(tx, org_id)
        row = await repository.key(row_id, lock=True)
        if row is None:
            raise NotFound
        if row.revoked_at is None:
            await repository.change(row_id, revoked_at=self._clock.now())
            await self._tell(tx, "api_key.revoked", org_id, actor.user_id, row_id, row.name)

    async def _tell(
        self, tx: Transaction, event: str, org_id: UUID, actor_id: UUID | None, row_id: UUID, name: str
    ) -> None:
        await self._events.append(tx, event, org_id, actor_id, api_key_id=row_id, name=name)

    async def _demand(self, repository: KeyRepository, actor: Actor, project_ids: Collection[UUID]) -> None:
        """Raise PermissionDenied unless the actor may do what a key of these projects may. A project that is
        not there for the actor is refused as one that nobody has."""
        actor.demand_words(API_KEY_PERMISSIONS)
        for row in await repository.projects(project_ids):
            place = place_of_project(row)
            if not actor.place.may(place, "projects:read"):
                raise ValidationFailed("There is no such project in this organisation.", param="project_id")
            if not actor.place.may(place, "chat:use"):
                raise PermissionDenied("This needs the permission 'chat:use' in the project.")

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
        found = {row.id for row in await repository.projects(wanted) if row.archived_at is None}
        if wish.project_id not in found:
            raise ValidationFailed("There is no such project in this organisation.", param="project_id")
        if not found.issuperset(wanted):
            raise ValidationFailed("There is no such project in this organisation.", param="project_ids")
        if wish.expires_at is not None and wish.expires_at <= self._clock.now():
            raise ValidationFailed("A key cannot end in the past.", param="expires_at")


def _projects(row: Any) -> list[UUID]:
    """Return the projects a key reaches: its own and those of its scope."""
    return [row.project_id, *read_scopes(row.scopes, ()).projects]
