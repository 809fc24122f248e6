"""Who may give what to whom. Pure: places in, a verdict out; services ask under the organisation's lock.

The rule is one: nobody gives what they do not hold themselves, nor changes a role that is more than theirs.
So no sequence of allowed calls lets people reach more than they held together at its beginning
(tests/accounts/test_granting.py). Owners alone make and unmake owners.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from deepspace.accounts.permissions import PROJECT_ROLE_PERMISSIONS
from deepspace.accounts.principal import Membership, ProjectPlace
from deepspace.kit.errors import NotFound, PermissionDenied

ALWAYS = frozenset({"organization:read"})
"""What every role of an organisation's own holds: without it a member could not even leave."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts in an organisation, with their place as it is in this transaction."""

    user_id: UUID
    place: Membership

    def demand(self, permission: str) -> None:
        """Raise PermissionDenied without this permission in the whole organisation."""
        if permission not in self.place.permissions:
            raise PermissionDenied(f"This needs the permission '{permission}'.")

    def demand_in_project(self, project: ProjectPlace, permission: str) -> None:
        """Raise NotFound without a part in the project, PermissionDenied without the permission."""
        if not self.place.may(project, "projects:read"):
            raise NotFound
        if not self.place.may(project, permission):
            raise PermissionDenied(f"This needs the permission '{permission}' in the project.")

    def demand_place(self, other: Membership) -> None:
        """Raise PermissionDenied unless the actor may give this place, or take it away."""
        if not may_give_place(self.place, other):
            raise PermissionDenied("This needs every permission of that role; only owners make owners.")

    def demand_words(self, permissions: Collection[str]) -> None:
        """Raise PermissionDenied unless the actor holds all of these."""
        missing = sorted(frozenset(permissions) - self.place.permissions)
        if missing:
            raise PermissionDenied(f"You do not hold '{missing[0]}' yourself.")

    def demand_project_role(self, project: ProjectPlace, role: str) -> None:
        """Raise PermissionDenied unless the actor may give this role in the project."""
        if not may_give_project_role(self.place, project, role):
            raise PermissionDenied(f"You do not hold all that the role '{role}' of that project gives.")


def may_give_place(giver: Membership, place: Membership) -> bool:
    """Tell whether somebody may give a place in the organisation, or take it away from its holder."""
    if place.role == "owner":
        return giver.role == "owner"
    return place.permissions <= giver.permissions


def may_give_words(giver: Membership, permissions: Collection[str]) -> bool:
    """Tell whether somebody may put these permissions into a role."""
    return giver.permissions.issuperset(permissions)


def may_give_project_role(giver: Membership, project: ProjectPlace, role: str) -> bool:
    """Tell whether somebody may give a role in a project."""
    return all(giver.may(project, permission) for permission in PROJECT_ROLE_PERMISSIONS[role])


def may_join_to_team(giver: Membership, roles: Collection[tuple[ProjectPlace, str]]) -> bool:
    """Tell whether somebody may put people into a team, which gives them the team's roles in projects."""
    return all(may_give_project_role(giver, project, role) for project, role in roles)


def with_always(permissions: Collection[str]) -> list[str]:
    """Return the permissions of a role of the organisation's own, sorted."""
    return sorted(ALWAYS.union(permissions))
