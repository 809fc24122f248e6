"""The place of the one who acts, read afresh under the organisation's lock.

A request's principal may be some seconds old. Whoever changes who may do what asks here first: the lock lets
changes of one organisation happen one after the other, so that what was checked is still true when it is
written.
"""

from __future__ import annotations

from uuid import UUID

from deepspace.accounts.granting import Actor
from deepspace.accounts.org_repository import MemberRepository, OrgRowRepository
from deepspace.accounts.person import person_of
from deepspace.accounts.principal import Membership, Principal, membership
from deepspace.kit.db import Transaction
from deepspace.kit.errors import NotFound


async def place_of(tx: Transaction, org_id: UUID, user_id: UUID) -> Membership | None:
    """Return somebody's place in an organisation now; None for a stranger."""
    members = MemberRepository(tx, org_id)
    row = await members.place(user_id)
    if row is None:
        return None
    given: dict[UUID, set[str]] = {}
    for part in await members.project_roles(user_id):
        given.setdefault(part.project_id, set()).add(part.role)
    custom = frozenset[str](row.permissions) if row.permissions is not None else None
    return membership(row.role, custom, {project: frozenset(names) for project, names in given.items()})


async def locked_actor(
    tx: Transaction, org_id: UUID, principal: Principal, permission: str | None = None
) -> Actor:
    """Lock the organisation and return the caller's place in it.

    PermissionDenied for an API key, which changes nobody's rights, and without `permission`; NotFound for a
    stranger, who may have been a member when the request began.
    """
    person = person_of(principal)
    if await OrgRowRepository(tx, org_id).lock() is None:
        raise NotFound
    place = await place_of(tx, org_id, person.user_id)
    if place is None:
        raise NotFound
    actor = Actor(person.user_id, place)
    if permission is not None:
        actor.demand(permission)
    return actor
