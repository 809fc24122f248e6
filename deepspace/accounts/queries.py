"""What the accounts endpoints show."""

from __future__ import annotations

from uuid import UUID

from deepspace.accounts import schemas
from deepspace.accounts.permissions import PERMISSIONS, PROJECT_ROLE_PERMISSIONS
from deepspace.accounts.principal import Membership, Principal
from deepspace.accounts.project_repository import ProjectRepository
from deepspace.accounts.projects import place_of_project
from deepspace.accounts.repository import OrgRepository, PeopleRepository
from deepspace.kit.db import Record, Transaction
from deepspace.kit.errors import NotFound


class AccountsQueries:
    """Reads for people's eyes; nothing here changes anything."""

    def __init__(self, currency: str) -> None:
        """`currency` is the platform's one currency."""
        self._currency = currency

    async def me(self, tx: Transaction, principal: Principal) -> schemas.MeView:
        """Return the person behind the call; an API key shows the person who made it."""
        user = await PeopleRepository(tx).user(principal.user_id) if principal.user_id is not None else None
        if user is None:
            raise NotFound("No person stands behind this API key any more.")
        return schemas.MeView(
            id=user.id,
            email=user.email,
            name=user.name,
            is_operator=user.is_operator and principal.kind == "session",
            email_verified=user.email_verified_at is not None,
            locale=user.locale,
            has_password=user.password_hash is not None,
            organizations=await self.organizations(tx, principal),
        )

    async def user(self, tx: Transaction, user_id: UUID) -> Record:
        """Return a person's own row; NotFound if the account was deleted a moment ago."""
        user = await PeopleRepository(tx).user(user_id)
        if user is None:
            raise NotFound
        return user

    async def organizations(self, tx: Transaction, principal: Principal) -> list[schemas.OrganizationView]:
        """Return the organisations the caller may see, with their projects."""
        found = [
            await self.organization(tx, org_id, place) for org_id, place in principal.memberships.items()
        ]
        return [view for view in found if view is not None]

    async def organization(
        self, tx: Transaction, org_id: UUID, place: Membership
    ) -> schemas.OrganizationView | None:
        """Return an organisation as somebody in this place sees it; None if it was deleted just now."""
        org = await OrgRepository(tx, org_id).org()
        if org is None or org.deleted_at is not None:
            return None
        return schemas.OrganizationView(
            id=org.id,
            name=org.name,
            role=place.role,
            permissions=sorted(place.permissions),
            currency=self._currency,
            projects=await self.projects(tx, org_id, place),
        )

    async def projects(
        self, tx: Transaction, org_id: UUID, place: Membership, *, archived: bool = False
    ) -> list[schemas.ProjectView]:
        """Return the projects of an organisation that somebody has a part in."""
        return [
            project_view(row, place)
            for row in await ProjectRepository(tx, org_id).projects(archived=archived)
            if place.may(place_of_project(row), "projects:read")
        ]


def project_view(row: Record, place: Membership) -> schemas.ProjectView:
    """Return a project as somebody in this place sees it."""
    project = place_of_project(row)
    held = place.projects.get(row.id, frozenset())
    roles = (name for name, words in PROJECT_ROLE_PERMISSIONS.items() if words <= held)
    return schemas.ProjectView(
        id=row.id,
        name=row.name,
        access=row.access,
        is_default=row.is_default,
        archived_at=row.archived_at,
        created_at=row.created_at,
        role=next(roles, None),
        permissions=sorted(word for word in PERMISSIONS if place.may(project, word)),
    )
