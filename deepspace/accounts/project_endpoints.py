"""/api/organizations/{org}/projects."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from deepspace.accounts import org_schemas, schemas
from deepspace.accounts.guard import OrgAccess, ProjectAccess, Requires, RequiresInProject
from deepspace.accounts.principal import Membership
from deepspace.accounts.projects import ProjectService
from deepspace.accounts.queries import AccountsQueries, project_view
from deepspace.accounts.standing import place_of
from deepspace.kit.db import Database, Record, Transaction
from deepspace.kit.errors import NotFound
from deepspace.kit.page import Page
from deepspace.kit.web import provided

router = APIRouter(prefix="/api", tags=["organizations"])

Projects = Annotated[ProjectService, provided(ProjectService)]
Queries = Annotated[AccountsQueries, provided(AccountsQueries)]
Db = Annotated[Database, provided(Database)]
ProjectReader = Annotated[ProjectAccess, RequiresInProject("projects:read")]
ProjectWriter = Annotated[ProjectAccess, RequiresInProject("projects:write")]


async def _present(tx: Transaction, access: OrgAccess) -> Membership:
    """Return the caller's place after a change, which may have been a change of that place."""
    user_id = access.principal.user_id
    place = await place_of(tx, access.org_id, user_id) if user_id is not None else None
    if place is None:
        raise NotFound
    return place


def _member_view(row: Record) -> org_schemas.ProjectMemberView:
    return org_schemas.ProjectMemberView(
        id=row.id,
        user_id=row.user_id,
        team_id=row.team_id,
        name=row.team if row.team_id is not None else row.user_name,
        email=row.email,
        role=row.role,
        created_at=row.created_at,
    )


@router.get("/organizations/{org}/projects", summary="Projects of an organisation")
async def projects(
    access: Annotated[OrgAccess, Requires("organization:read")],
    queries: Queries,
    db: Db,
    *,
    archived: Annotated[bool, Query(description="Archived projects too.")] = False,
) -> Page[schemas.ProjectView]:
    """List the projects the caller has a part in: the default one, then the oldest first."""
    async with db.tenant(access.org_id) as tx:
        found = await queries.projects(tx, access.org_id, access.membership, archived=archived)
    return Page(items=found, next_cursor=None)


@router.post("/organizations/{org}/projects", status_code=201, summary="Create a project")
async def create_project(
    body: org_schemas.NewProjectBody,
    access: Annotated[OrgAccess, Requires("projects:write")],
    service: Projects,
    db: Db,
) -> schemas.ProjectView:
    """Create a project. Who makes one for members only is its manager."""
    async with db.tenant(access.org_id) as tx:
        row = await service.make(tx, access.org_id, access.principal, body.name, body.access)
        return project_view(row, await _present(tx, access))


@router.get("/organizations/{org}/projects/{project}", summary="A project")
async def project(access: ProjectReader, service: Projects, db: Db) -> schemas.ProjectView:
    """Return a project. One for members only is not there for others: 404."""
    async with db.tenant(access.org_id) as tx:
        row = await service.project(tx, access.org_id, access.project_id)
    return project_view(row, access.membership)


@router.patch("/organizations/{org}/projects/{project}", summary="Change a project")
async def change_project(
    body: org_schemas.ProjectBody, access: ProjectWriter, service: Projects, db: Db
) -> schemas.ProjectView:
    """Give a project another name, open it to the organisation, or close it to all but its members."""
    async with db.tenant(access.org_id) as tx:
        row = await service.change(
            tx, access.org_id, access.principal, access.project_id, **body.model_dump(exclude_none=True)
        )
        return project_view(row, await _present(tx, access))


@router.post("/organizations/{org}/projects/{project}/archive", summary="Archive a project")
async def archive(access: ProjectWriter, service: Projects, db: Db) -> schemas.ProjectView:
    """Let a project rest: no calls in it, and its API keys stop working. Not the default project (409)."""
    async with db.tenant(access.org_id) as tx:
        row = await service.archive(tx, access.org_id, access.principal, access.project_id)
    return project_view(row, access.membership)


@router.post("/organizations/{org}/projects/{project}/unarchive", summary="Take a project back into use")
async def unarchive(access: ProjectWriter, service: Projects, db: Db) -> schemas.ProjectView:
    """Take an archived project back into use; its API keys work again."""
    async with db.tenant(access.org_id) as tx:
        row = await service.unarchive(tx, access.org_id, access.principal, access.project_id)
    return project_view(row, access.membership)


@router.post("/organizations/{org}/projects/{project}/make-default", summary="Make a project the default")
async def make_default(access: ProjectWriter, service: Projects, db: Db) -> schemas.ProjectView:
    """Make a project the one that is meant when a call names none. Needs `projects:write` in the whole
    organisation."""
    async with db.tenant(access.org_id) as tx:
        row = await service.make_default(tx, access.org_id, access.principal, access.project_id)
    return project_view(row, access.membership)


@router.get("/organizations/{org}/projects/{project}/members", summary="Members of a project")
async def project_members(
    access: ProjectReader, service: Projects, db: Db
) -> Page[org_schemas.ProjectMemberView]:
    """List the people and teams with a role in a project."""
    async with db.tenant(access.org_id) as tx:
        rows = await service.members(tx, access.org_id, access.project_id)
    return Page(items=[_member_view(row) for row in rows], next_cursor=None)


@router.post(
    "/organizations/{org}/projects/{project}/members",
    status_code=201,
    summary="Give somebody a role in a project",
)
async def add_project_member(
    body: org_schemas.NewProjectMemberBody, access: ProjectWriter, service: Projects, db: Db
) -> org_schemas.ProjectMemberView:
    """Give a member or a team of the organisation a role in a project."""
    async with db.tenant(access.org_id) as tx:
        row = await service.add_member(
            tx,
            access.org_id,
            access.principal,
            access.project_id,
            user_id=body.user_id,
            team_id=body.team_id,
            role=body.role,
        )
    return _member_view(row)


@router.patch(
    "/organizations/{org}/projects/{project}/members/{member}", summary="Change a role in a project"
)
async def set_project_role(
    member: UUID, body: org_schemas.ProjectMemberBody, access: ProjectWriter, service: Projects, db: Db
) -> org_schemas.ProjectMemberView:
    """Give a project member another role."""
    async with db.tenant(access.org_id) as tx:
        row = await service.set_member_role(
            tx, access.org_id, access.principal, access.project_id, member, body.role
        )
    return _member_view(row)


@router.delete(
    "/organizations/{org}/projects/{project}/members/{member}",
    status_code=204,
    summary="End a role in a project",
)
async def remove_project_member(member: UUID, access: ProjectWriter, service: Projects, db: Db) -> None:
    """End somebody's role in a project."""
    async with db.tenant(access.org_id) as tx:
        await service.remove_member(tx, access.org_id, access.principal, access.project_id, member)
