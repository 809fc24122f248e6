"""/api/organizations: organisations and their members."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from deepspace.accounts import org_schemas, schemas
from deepspace.accounts.authenticator import Authenticator
from deepspace.accounts.guard import OrgAccess, Requires, SignedIn
from deepspace.accounts.org_deletion import OrgDeletion
from deepspace.accounts.org_repository import MemberRepository
from deepspace.accounts.organizations import OrganizationService, RoleChoice
from deepspace.accounts.principal import Membership, Principal
from deepspace.accounts.queries import AccountsQueries
from deepspace.accounts.standing import place_of
from deepspace.kit.db import Database, Record, Transaction
from deepspace.kit.errors import NotFound
from deepspace.kit.ids import uuid7
from deepspace.kit.page import Limit, Page, decode_cursor, page_of
from deepspace.kit.web import provided

router = APIRouter(prefix="/api", tags=["organizations"])

Organizations = Annotated[OrganizationService, provided(OrganizationService)]
Deletion = Annotated[OrgDeletion, provided(OrgDeletion)]
Queries = Annotated[AccountsQueries, provided(AccountsQueries)]
Sessions = Annotated[Authenticator, provided(Authenticator)]
Db = Annotated[Database, provided(Database)]


async def _view(
    tx: Transaction, queries: AccountsQueries, org_id: UUID, place: Membership | None
) -> schemas.OrganizationView:
    view = await queries.organization(tx, org_id, place) if place is not None else None
    if view is None:
        raise NotFound
    return view


def _look_again(sessions: Authenticator, principal: Principal) -> None:
    """Let the caller's next request here see their new place, before the notice of it arrives."""
    if principal.session_id is not None:
        sessions.forget_session(principal.session_id)


async def _member_views(
    tx: Transaction, org_id: UUID, rows: Sequence[Record]
) -> list[org_schemas.MemberView]:
    teams: dict[UUID, list[org_schemas.TeamRef]] = {}
    for row in await MemberRepository(tx, org_id).teams_of([row.user_id for row in rows]):
        teams.setdefault(row.user_id, []).append(org_schemas.TeamRef(id=row.id, name=row.name))
    return [
        org_schemas.MemberView(
            user_id=row.user_id,
            email=row.email,
            name=row.name,
            role=row.role,
            role_id=row.role_id,
            role_name=row.role_name,
            teams=teams.get(row.user_id, []),
            joined_at=row.created_at,
        )
        for row in rows
    ]


@router.get("/organizations", summary="My organisations")
async def organizations(
    principal: Annotated[Principal, SignedIn], queries: Queries, db: Db
) -> Page[schemas.OrganizationView]:
    """List the organisations of the caller."""
    async with db.platform() as tx:
        return Page(items=await queries.organizations(tx, principal), next_cursor=None)


@router.post("/organizations", status_code=201, summary="Make an organisation")
async def found(
    body: org_schemas.OrganizationBody,
    principal: Annotated[Principal, SignedIn],
    service: Organizations,
    queries: Queries,
    sessions: Sessions,
    db: Db,
) -> schemas.OrganizationView:
    """Make an organisation with the caller as its owner, a default project and an empty wallet.

    For people in a session; where DEEPSPACE_REGISTRATION is `closed`, for operators only.
    """
    org_id = uuid7()
    async with db.tenant(org_id) as tx:
        await service.found(tx, org_id, principal, body.name)
        place = await place_of(tx, org_id, principal.user_id) if principal.user_id is not None else None
        view = await _view(tx, queries, org_id, place)
    _look_again(sessions, principal)
    return view


@router.get("/organizations/{org}", summary="An organisation")
async def organization(
    access: Annotated[OrgAccess, Requires("organization:read")], queries: Queries, db: Db
) -> schemas.OrganizationView:
    """Return an organisation with the projects the caller has a part in."""
    async with db.tenant(access.org_id) as tx:
        return await _view(tx, queries, access.org_id, access.membership)


@router.patch("/organizations/{org}", summary="Rename an organisation")
async def rename(
    body: org_schemas.OrganizationBody,
    access: Annotated[OrgAccess, Requires("organization:write")],
    service: Organizations,
    queries: Queries,
    db: Db,
) -> schemas.OrganizationView:
    """Give an organisation another name."""
    async with db.tenant(access.org_id) as tx:
        await service.rename(tx, access.org_id, access.principal, body.name)
        return await _view(tx, queries, access.org_id, access.membership)


@router.get("/organizations/{org}/deletion", summary="What deleting an organisation would do")
async def deletion(
    access: Annotated[OrgAccess, Requires("organization:delete")], service: Deletion, db: Db
) -> org_schemas.DeletionView:
    """Count what would go and what would stay, and say what stands in the way. Nothing changes."""
    async with db.tenant(access.org_id) as tx:
        found = await service.survey(tx, access.org_id)
    return org_schemas.DeletionView(
        goes=dict(found.goes),
        stays=dict(found.stays),
        obstacles=[org_schemas.ObstacleView(code=one.code, detail=one.detail) for one in found.obstacles],
    )


@router.delete("/organizations/{org}", status_code=204, summary="Delete an organisation")
async def delete(
    access: Annotated[OrgAccess, Requires("organization:delete")],
    service: Deletion,
    sessions: Sessions,
    db: Db,
    *,
    forfeit_balance: Annotated[
        bool, Query(description="Give up what the wallet still holds; without it, money left is a 409.")
    ] = False,
) -> None:
    """Delete an organisation: members, teams, roles, invitations, budgets and every API key end. The books
    stay for the platform's operators. Refused (409) while calls are under way, or money is left."""
    async with db.tenant(access.org_id) as tx:
        await service.delete(tx, access.org_id, access.principal, forfeit_balance=forfeit_balance)
    _look_again(sessions, access.principal)


@router.post("/organizations/{org}/leave", summary="Leave an organisation")
async def leave(
    access: Annotated[OrgAccess, Requires("organization:read")],
    service: Organizations,
    sessions: Sessions,
    db: Db,
) -> org_schemas.EndedView:
    """End one's own membership and one's API keys there. The last owner cannot leave (409)."""
    async with db.tenant(access.org_id) as tx:
        ended = await service.leave(tx, access.org_id, access.principal)
    _look_again(sessions, access.principal)
    return org_schemas.EndedView(revoked_api_keys=ended)


@router.post("/organizations/{org}/transfer-ownership", status_code=204, summary="Hand an organisation over")
async def transfer(
    body: org_schemas.NewOwnerBody,
    access: Annotated[OrgAccess, Requires("organization:delete")],
    service: Organizations,
    sessions: Sessions,
    db: Db,
) -> None:
    """Make another member the owner; the caller becomes an admin. Owners only."""
    async with db.tenant(access.org_id) as tx:
        await service.transfer(tx, access.org_id, access.principal, body.user_id)
    _look_again(sessions, access.principal)


@router.get("/organizations/{org}/members", summary="Members of an organisation")
async def members(
    access: Annotated[OrgAccess, Requires("organization:read")],
    db: Db,
    limit: Annotated[Limit, Query()] = 50,
    cursor: str | None = None,
) -> Page[org_schemas.MemberView]:
    """List members with their roles and teams, newest first."""
    before = decode_cursor(cursor) if cursor is not None else None
    async with db.tenant(access.org_id) as tx:
        rows = await MemberRepository(tx, access.org_id).members(limit + 1, before)
        views = await _member_views(tx, access.org_id, rows)
    return page_of(views, limit, lambda view: view, lambda view: (view.joined_at, view.user_id))


@router.patch("/organizations/{org}/members/{user}", summary="Give a member another role")
async def set_role(
    user: UUID,
    body: org_schemas.MemberBody,
    access: Annotated[OrgAccess, Requires("members:write")],
    service: Organizations,
    db: Db,
) -> org_schemas.MemberView:
    """Give a member another role. The caller must hold all that the old and the new role give; owners are
    made and unmade by owners, and one always stays (409)."""
    choice = RoleChoice(body.role, body.role_id)
    async with db.tenant(access.org_id) as tx:
        row = await service.set_role(tx, access.org_id, access.principal, user, choice)
        [view] = await _member_views(tx, access.org_id, [row])
    return view


@router.delete("/organizations/{org}/members/{user}", summary="Remove a member")
async def remove(
    user: UUID,
    access: Annotated[OrgAccess, Requires("members:write")],
    service: Organizations,
    db: Db,
) -> org_schemas.EndedView:
    """End a membership, with the person's teams, project roles and API keys in this organisation."""
    async with db.tenant(access.org_id) as tx:
        ended = await service.remove(tx, access.org_id, access.principal, user)
    return org_schemas.EndedView(revoked_api_keys=ended)
