"""From a credential to a Principal: cheap refusals first, then one cached look-up.

What is cached is dropped when a row behind it changes, on every gateway process, by the notices of the
database (kit/notices.py); CACHE_AGE_S bounds how long it can live if the notices are not heard.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from deepspace.accounts import keys
from deepspace.accounts.errors import (
    KeyExpired,
    KeyRevoked,
    KeyUnknown,
    KeyWrongAddress,
    KeyWrongSurface,
    SessionExpired,
)
from deepspace.accounts.key_repository import KeyDirectory
from deepspace.accounts.principal import (
    KeyGrant,
    Membership,
    Principal,
    ProjectPlace,
    key_membership,
    membership,
)
from deepspace.accounts.repository import OrgRepository, PeopleRepository
from deepspace.accounts.scopes import Surface, read_scopes
from deepspace.accounts.tokens import TokenService
from deepspace.kit.cache import ReadThrough
from deepspace.kit.clock import Clock
from deepspace.kit.crypto import KeyRing
from deepspace.kit.db import Database, Record
from deepspace.kit.errors import NotFound, Unauthorized
from deepspace.kit.ids import parse_uuid

NOTICES = "deepspace_access"
"""The channel on which the database tells of changes to keys, sessions, people, memberships and projects."""

CACHE_AGE_S = 5.0
"""A revoked key or an ended session is refused after at most this long on a process that hears no notices;
one that does refuses it as soon as the change is committed."""

MAX_SEEN = 20_000


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
        self._used: dict[UUID, datetime] = {}
        self._seen_with = os.urandom(32)
        self._seen: dict[bytes, tuple[str, bytes]] = {}  # texts whose secret was compared: key id, its hash

    async def principal(self, credential: str | None, surface: Surface, ip: str) -> Principal:
        """Return who holds the credential (the text after `Bearer `), or raise a 401 that says what is wrong.

        PermissionDenied for an API key that is not for this surface, or not for this address.
        """
        if not credential:
            raise Unauthorized
        if keys.looks_like_key(credential):
            return await self._by_key(credential, surface, ip)
        claims = self._tokens.read_access_token(credential)
        principal = await self._sessions.get(claims.session_id)
        if principal is None or principal.user_id != claims.user_id:
            raise SessionExpired
        return principal

    async def project_for(self, principal: Principal, wanted: str | None) -> tuple[UUID, ProjectPlace]:
        """Return (organisation, project) a call is made in.

        A key is bound to its project and those of its scope. A session names one by the header
        `x-deepspace-project`, or means the first one it has a part in: default projects come first. NotFound
        for a project that is not the caller's, or archived.
        """
        key = principal.key
        if key is not None:
            project_id = key.project_id if wanted is None else parse_uuid(wanted)
            if project_id != key.project_id and project_id not in key.scopes.projects:
                raise NotFound("This API key belongs to another project.", param="x-deepspace-project")
            for project in await self._projects.get(key.org_id):
                if project.id == project_id:
                    return key.org_id, project
            raise NotFound("The project of this API key is archived.", param="x-deepspace-project")
        for org_id, place in principal.memberships.items():
            for project in await self._projects.get(org_id):
                if (wanted is None or wanted == str(project.id)) and place.may(project, "projects:read"):
                    return org_id, project
        raise NotFound("There is no such project among yours.", param="x-deepspace-project")

    def forget_api_key(self, key_id: UUID) -> None:
        """Look at an API key again at its next use, in this process."""
        self._keys.forget_where(lambda found: found is not None and _is_key(found.principal, key_id))

    def forget_session(self, session_id: UUID) -> None:
        """Look at a session again at its next use, in this process."""
        self._sessions.forget(session_id)

    def hear(self, notice: str) -> None:
        """Drop what a notice of the database says has changed."""
        subject, _, text = notice.partition(":")
        changed = parse_uuid(text)
        if changed is None:
            self.forget_everything()
        elif subject == "key":
            self.forget_api_key(changed)
        elif subject == "session":
            self.forget_session(changed)
        elif subject == "user":
            self._keys.forget_where(lambda found: found is not None and found.principal.user_id == changed)
            self._sessions.forget_where(lambda found: found is not None and found.user_id == changed)
        else:
            self._projects.forget(changed)
            self._sessions.forget_where(lambda found: found is not None and changed in found.memberships)

    def forget_everything(self) -> None:
        """Drop all that is cached: some notices may not have been heard."""
        for cache in (self._keys, self._sessions, self._projects):
            cache.forget_where(lambda _: True)

    async def write_last_used(self) -> None:
        """Write down when keys were last used, for all that were since the last time."""
        used, self._used = self._used, {}
        if used:
            async with self._database.platform() as tx:
                await KeyDirectory(tx).touch(used)

    async def _by_key(self, text: str, surface: Surface, ip: str) -> Principal:
        record = await self._record(text)
        if record.revoked:
            raise KeyRevoked
        now = self._clock.now()
        if record.expires_at is not None and record.expires_at <= now:
            raise KeyExpired
        grant = record.principal.key
        if grant is None or not grant.scopes.allow_address(ip):
            raise KeyWrongAddress
        if not grant.scopes.allow_route(surface):
            raise KeyWrongSurface
        self._used[grant.id] = now
        return record.principal

    async def _record(self, text: str) -> _KeyRecord:
        """Return what is known of a key's text, or raise KeyUnknown. Form, checksum and secret are looked at
        when a text comes for the first time, and again when the key has another secret; else it is known by
        a keyed digest of this process, which costs a fifth."""
        seen_as = hashlib.blake2b(text.encode(), key=self._seen_with, digest_size=32).digest()
        seen = self._seen.get(seen_as)
        key_id = seen[0] if seen is not None else keys.key_id_of(text)
        record = await self._keys.get(key_id)
        if record is not None and seen is not None and seen[1] == record.secret_hmac:
            return record
        if record is None or not hmac.compare_digest(record.secret_hmac, keys.key_hmac(self._pepper, text)):
            self._seen.pop(seen_as, None)
            raise KeyUnknown
        if len(self._seen) >= MAX_SEEN:
            self._seen.clear()
        self._seen[seen_as] = (key_id, record.secret_hmac)
        return record

    async def _load_key(self, key_id: str) -> _KeyRecord | None:
        async with self._database.platform() as tx:
            row = await KeyDirectory(tx).key(key_id)
        if row is None:
            return None
        scopes = read_scopes(row.scopes, row.allowed_ips)
        grant = KeyGrant(row.id, row.name, row.org_id, row.project_id, scopes)
        place = key_membership({grant.project_id, *scopes.projects})
        principal = Principal("api_key", row.created_by, {row.org_id: place}, key=grant)
        revoked = row.revoked_at is not None or row.maker_status not in {None, "active"}
        if row.key_id == key_id:
            return _KeyRecord(row.secret_hmac, revoked, row.expires_at, principal)
        ends = [at for at in (row.previous_expires_at, row.expires_at) if at is not None]
        return _KeyRecord(row.previous_hmac, revoked, min(ends), principal)

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


def _is_key(principal: Principal, key_id: UUID) -> bool:
    return principal.key is not None and principal.key.id == key_id


async def _places(people: PeopleRepository, user_id: UUID) -> dict[UUID, Membership]:
    """Return a user's place in each of their organisations."""
    given: dict[UUID, dict[UUID, set[str]]] = {}
    for row in await people.project_roles(user_id):
        given.setdefault(row.org_id, {}).setdefault(row.project_id, set()).add(row.role)
    return {row.id: _place(row, given.get(row.id, {})) for row in await people.memberships(user_id)}


def _place(row: Record, given: dict[UUID, set[str]]) -> Membership:
    custom = frozenset(row.permissions) if row.permissions is not None else None
    return membership(row.role, custom, {project: frozenset(names) for project, names in given.items()})
