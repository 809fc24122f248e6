"""/api/organizations/{org}/teams and …/roles, and the permission vocabulary."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter

from deepspace.accounts import org_schemas
from deepspace.accounts.guard import OrgAccess, Requires, SignedIn
from deepspace.accounts.org_repository import RoleRepository
from deepspace.accounts.permissions import PERMISSIONS, PROJECT_ROLE_PERMISSIONS, ROLE_PERMISSIONS
from deepspace.accounts.principal import Principal
from deepspace.accounts.roles import RoleService
from deepspace.accounts.team_repository import TeamRepository
from deepspace.accounts.teams import TeamService
from deepspace.kit.db import Database, Record
from deepspace.kit.page import Page
from deepspace.kit.web import provided

router = APIRouter(prefix="/api", tags=["organizations"])

Teams = Annotated[TeamService, provided(TeamService)]
Roles = Annotated[RoleService, provided(RoleService)]
Db = Annotated[Database, provided(Database)]
Reader = Annotated[OrgAccess, Requires("organization:read")]
TeamWriter = Annotated[OrgAccess, Requires("teams:write")]
RoleWriter = Annotated[OrgAccess, Requires("roles:write")]


def _team_view(row: Record) -> org_schemas.TeamView:
    return org_schemas.TeamView(id=row.id, name=row.name, members=row.members, created_at=row.created_at)


def _role_view(row: Record) -> org_schemas.RoleView:
    return org_schemas.RoleView(
        id=row.id,
        name=row.name,
        permissions=row.permissions,
        members=row.members,
        created_at=row.created_at,
    )


@router.get("/permissions", summary="The permission vocabulary")
async def vocabulary(principal: Annotated[Principal, SignedIn]) -> org_schemas.VocabularyView:
    """List every permission with its meaning, and what the built-in roles hold."""
    return org_schemas.VocabularyView(
        permissions=[
            org_schemas.PermissionView(name=name, meaning=meaning) for name, meaning in PERMISSIONS.items()
        ],
        roles={name: sorted(held) for name, held in ROLE_PERMISSIONS.items()},
        project_roles={name: sorted(held) for name, held in PROJECT_ROLE_PERMISSIONS.items()},
    )


@router.get("/organizations/{org}/roles", summary="Roles of an organisation's own")
async def roles(access: Reader, db: Db) -> Page[org_schemas.RoleView]:
    """List the roles made here; the built-in ones are in GET /api/permissions."""
    async with db.tenant(access.org_id) as tx:
        rows = await RoleRepository(tx, access.org_id).roles()
    return Page(items=[_role_view(row) for row in rows], next_cursor=None)


@router.post("/organizations/{org}/roles", status_code=201, summary="Make a role")
async def make_role(
    body: org_schemas.NewRoleBody, access: RoleWriter, service: Roles, db: Db
) -> org_schemas.RoleView:
    """Make a role of permissions that the caller holds."""
    async with db.tenant(access.org_id) as tx:
        row = await service.make(tx, access.org_id, access.principal, body.name, body.permissions)
    return _role_view(row)


@router.get("/organizations/{org}/roles/{role}", summary="A role of an organisation's own")
async def role(role: UUID, access: Reader, service: Roles, db: Db) -> org_schemas.RoleView:
    """Return a role."""
    async with db.tenant(access.org_id) as tx:
        return _role_view(await service.role(tx, access.org_id, role))


@router.patch("/organizations/{org}/roles/{role}", summary="Change a role")
async def change_role(
    role: UUID, body: org_schemas.RoleBody, access: RoleWriter, service: Roles, db: Db
) -> org_schemas.RoleView:
    """Change a role for everybody who has it. The caller holds what it gave and what it will give."""
    async with db.tenant(access.org_id) as tx:
        row = await service.change(tx, access.org_id, access.principal, role, body.name, body.permissions)
    return _role_view(row)


@router.delete("/organizations/{org}/roles/{role}", status_code=204, summary="Delete a role")
async def remove_role(role: UUID, access: RoleWriter, service: Roles, db: Db) -> None:
    """Delete a role that no member has and no open invitation gives (409 else)."""
    async with db.tenant(access.org_id) as tx:
        await service.remove(tx, access.org_id, access.principal, role)


@router.get("/organizations/{org}/teams", summary="Teams of an organisation")
async def teams(access: Reader, db: Db) -> Page[org_schemas.TeamView]:
    """List the teams."""
    async with db.tenant(access.org_id) as tx:
        rows = await TeamRepository(tx, access.org_id).teams()
    return Page(items=[_team_view(row) for row in rows], next_cursor=None)


@router.post("/organizations/{org}/teams", status_code=201, summary="Make a team")
async def make_team(
    body: org_schemas.TeamBody, access: TeamWriter, service: Teams, db: Db
) -> org_schemas.TeamView:
    """Make a team."""
    async with db.tenant(access.org_id) as tx:
        return _team_view(await service.make(tx, access.org_id, access.principal, body.name))


@router.get("/organizations/{org}/teams/{team}", summary="A team")
async def team(team: UUID, access: Reader, service: Teams, db: Db) -> org_schemas.TeamView:
    """Return a team."""
    async with db.tenant(access.org_id) as tx:
        return _team_view(await service.team(tx, access.org_id, team))


@router.patch("/organizations/{org}/teams/{team}", summary="Rename a team")
async def rename_team(
    team: UUID, body: org_schemas.TeamBody, access: TeamWriter, service: Teams, db: Db
) -> org_schemas.TeamView:
    """Give a team another name."""
    async with db.tenant(access.org_id) as tx:
        return _team_view(await service.rename(tx, access.org_id, access.principal, team, body.name))


@router.delete("/organizations/{org}/teams/{team}", status_code=204, summary="Delete a team")
async def remove_team(team: UUID, access: TeamWriter, service: Teams, db: Db) -> None:
    """Delete a team; its members lose what they had in projects through it."""
    async with db.tenant(access.org_id) as tx:
        await service.remove(tx, access.org_id, access.principal, team)


@router.get("/organizations/{org}/teams/{team}/members", summary="Members of a team")
async def team_members(
    team: UUID, access: Reader, service: Teams, db: Db
) -> Page[org_schemas.TeamMemberView]:
    """List who is in a team."""
    async with db.tenant(access.org_id) as tx:
        rows = await service.members(tx, access.org_id, team)
    views = [
        org_schemas.TeamMemberView(
            user_id=row.user_id, email=row.email, name=row.name, joined_at=row.created_at
        )
        for row in rows
    ]
    return Page(items=views, next_cursor=None)


@router.post("/organizations/{org}/teams/{team}/members", status_code=204, summary="Put somebody into a team")
async def add_team_member(
    team: UUID, body: org_schemas.TeamMemberBody, access: TeamWriter, service: Teams, db: Db
) -> None:
    """Put a member of the organisation into a team. The caller holds all that the team has in projects."""
    async with db.tenant(access.org_id) as tx:
        await service.add_member(tx, access.org_id, access.principal, team, body.user_id)


@router.delete(
    "/organizations/{org}/teams/{team}/members/{user}", status_code=204, summary="Take somebody out of a team"
)
async def remove_team_member(team: UUID, user: UUID, access: TeamWriter, service: Teams, db: Db) -> None:
    """Take somebody out of a team."""
    async with db.tenant(access.org_id) as tx:
        await service.remove_member(tx, access.org_id, access.principal, team, user)
