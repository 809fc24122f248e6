"""What the accounts endpoints show."""

from __future__ import annotations

from uuid import UUID

from deepspace.accounts import schemas
from deepspace.accounts.principal import Membership, Principal, ProjectPlace
from deepspace.accounts.repository import OrgRepository, PeopleRepository
from deepspace.kit.db import Transaction
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
            organizations=await self.organizations(tx, principal),
        )

    async def organizations(self, tx: Transaction, principal: Principal) -> list[schemas.OrganizationView]:
        """Return the organisations the caller may see, with their projects."""
        views: list[schemas.OrganizationView] = []
        for org_id, place in principal.memberships.items():
            org = await OrgRepository(tx, org_id).org()
            if org is not None:
                projects = await self.projects(tx, org_id, place)
                views.append(
                    schemas.OrganizationView(
                        id=org.id, name=org.name, role=place.role, currency=self._currency, projects=projects
                    )
                )
        return views

    async def projects(self, tx: Transaction, org_id: UUID, place: Membership) -> list[schemas.ProjectView]:
        """Return the projects of an organisation that somebody has a part in."""
        return [
            schemas.ProjectView(id=row.id, name=row.name)
            for row in await OrgRepository(tx, org_id).projects()
            if place.may(ProjectPlace(row.id, row.access == "organization"), "projects:read")
        ]
