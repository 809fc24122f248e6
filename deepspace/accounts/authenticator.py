"""From a credential to a Principal: cheap refusals first, then one cached look-up."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from deepspace.accounts import keys
from deepspace.accounts.errors import KeyExpired, KeyRevoked, KeyUnknown, SessionExpired
from deepspace.accounts.principal import (
    KeyGrant,
    Membership,
    Principal,
    ProjectPlace,
    key_membership,
    membership,
)
from deepspace.accounts.repository import KeyDirectory, OrgRepository, PeopleRepository
from deepspace.accounts.tokens import TokenService
from deepspace.kit.cache import ReadThrough
from deepspace.kit.clock import Clock
from deepspace.kit.crypto import KeyRing
from deepspace.kit.db import Database
from deepspace.kit.errors import NotFound, Unauthorized

CACHE_AGE_S = 1.0
"""A revoked key or an ended session is refused after at most this long, on every gateway process."""


@dataclass(frozen=True, slots=True)
class _KeyRecord:
    secret_hmac: bytes
    revoked: bool
    expires_at: datetime | None
    principal: Principal


class Authenticator:
    """Checks API keys and access tokens."""

    def __init__(self, database: Database, tokens: TokenService, ring: KeyRing, clock: Clock) -> None:
        """Look-ups open short transactions of their own on `database`."""
        self._database = database
        self._tokens = tokens
        self._pepper = ring.key("api-key-hmac.1")
        self._clock = clock
        self._keys = ReadThrough(self._load_key, max_age_s=CACHE_AGE_S, max_entries=20_000)
        self._sessions = ReadThrough(self._load_session, max_age_s=CACHE_AGE_S, max_entries=20_000)
        self._projects = ReadThrough(self._load_projects, max_age_s=CACHE_AGE_S, max_entries=20_000)

    async def principal(self, credential: str | None) -> Principal:
        """Return who holds the credential (the text after `Bearer `), or raise a 401 that says what is
        wrong."""
        if not credential:
            raise Unauthorized
        if keys.looks_like_key(credential):
            return await self._by_key(credential)
        claims = self._tokens.read_access_token(credential)
        principal = await self._sessions.get(claims.session_id)
        if principal is None or principal.user_id != claims.user_id:
            raise SessionExpired
        return principal

    async def project_for(self, principal: Principal, wanted: str | None) -> tuple[UUID, ProjectPlace]:
        """Return (organisation, project) a call is made in.

        A key is bound to its project. A session names one by the header `x-deepspace-project`, or means the
        first one it has a part in: default projects come first. NotFound for a project that is not the
        caller's, or archived.
        """
        if principal.key is not None:
            if wanted is not None and wanted != str(principal.key.project_id):
                raise NotFound("This API key belongs to another project.", param="x-deepspace-project")
            for project in await self._projects.get(principal.key.org_id):
                if project.id == principal.key.project_id:
                    return principal.key.org_id, project
            raise NotFound("The project of this API key is archived.", param="x-deepspace-project")
        for org_id, place in principal.memberships.items():
            for project in await self._projects.get(org_id):
                if (wanted is None or wanted == str(project.id)) and place.may(project, "projects:read"):
                    return org_id, project
        raise NotFound("There is no such project among yours.", param="x-deepspace-project")

    def forget_key(self, key_id: str) -> None:
        """Refuse a revoked key at once in this process."""
        self._keys.forget(key_id)

    def forget_session(self, session_id: UUID) -> None:
        """Refuse an ended session at once in this process."""
        self._sessions.forget(session_id)

    async def _by_key(self, text: str) -> Principal:
        record = await self._keys.get(keys.key_id_of(text))
        if record is None or not hmac.compare_digest(record.secret_hmac, keys.key_hmac(self._pepper, text)):
            raise KeyUnknown
        if record.revoked:
            raise KeyRevoked
        if record.expires_at is not None and record.expires_at <= self._clock.now():
            raise KeyExpired
        return record.principal

    async def _load_key(self, key_id: str) -> _KeyRecord | None:
        async with self._database.platform() as tx:
            row = await KeyDirectory(tx).key(key_id)
        if row is None:
            return None
        models = row.scopes.get("models")
        grant = KeyGrant(
            row.id, row.name, row.org_id, row.project_id, frozenset(models) if models is not None else None
        )
        place = key_membership(grant.project_id)
        principal = Principal("api_key", row.created_by, {row.org_id: place}, key=grant)
        return _KeyRecord(row.secret_hmac, row.revoked_at is not None, row.expires_at, principal)

    async def _load_session(self, session_id: UUID) -> Principal | None:
        async with self._database.platform() as tx:
            people = PeopleRepository(tx)
            session = await people.session(session_id)
            if session is None or session.revoked_at is not None:
                return None
            user = await people.user(session.user_id)
            if user is None or user.status != "active":
                return None
            places = await _places(people, user.id)
        return Principal("session", user.id, places, is_operator=user.is_operator, session_id=session_id)

    async def _load_projects(self, org_id: UUID) -> tuple[ProjectPlace, ...]:
        async with self._database.tenant(org_id) as tx:
            rows = await OrgRepository(tx, org_id).projects()
        return tuple(ProjectPlace(row.id, row.access == "organization") for row in rows)


async def _places(people: PeopleRepository, user_id: UUID) -> dict[UUID, Membership]:
    """Return a user's place in each of their organisations."""
    given: dict[UUID, dict[UUID, set[str]]] = {}
    for row in await people.project_roles(user_id):
        given.setdefault(row.org_id, {}).setdefault(row.project_id, set()).add(row.role)
    return {
        row.id: membership(
            row.role,
            frozenset(row.permissions) if row.permissions is not None else None,
            {project: frozenset(names) for project, names in given.get(row.id, {}).items()},
        )
        for row in await people.memberships(user_id)
    }
