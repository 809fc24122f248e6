"""Who is asking: the result of authentication, carried by every call."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal
from uuid import UUID

from deepspace.accounts.permissions import (
    API_KEY_PERMISSIONS,
    OPERATOR_PERMISSIONS,
    PROJECT_ROLE_PERMISSIONS,
    ROLE_PERMISSIONS,
)
from deepspace.accounts.scopes import KeyScopes
from deepspace.kit.errors import NotFound, PermissionDenied

_NOTHING: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class KeyGrant:
    """The API key behind a call."""

    id: UUID
    name: str
    org_id: UUID
    project_id: UUID
    scopes: KeyScopes = field(default_factory=KeyScopes)


@dataclass(frozen=True, slots=True)
class ProjectPlace:
    """A project, as far as access to it goes."""

    id: UUID
    is_open: bool
    """Whether everybody with `projects:read` in the organisation works in it."""


@dataclass(frozen=True, slots=True)
class Membership:
    """A caller's place in one organisation."""

    role: str
    permissions: frozenset[str]
    projects: Mapping[UUID, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))
    """What the caller may do in single projects beyond that."""

    def may(self, project: ProjectPlace, permission: str) -> bool:
        """Tell whether the caller may do this in a project: by their role in it, or by their role in the
        organisation if that reaches into the project."""
        if permission in self.projects.get(project.id, _NOTHING):
            return True
        reach = "projects:read" if project.is_open else "projects:read_all"
        return permission in self.permissions and (
            reach in self.permissions or "projects:read_all" in self.permissions
        )


def membership(
    role: str, custom: frozenset[str] | None = None, projects: Mapping[UUID, frozenset[str]] | None = None
) -> Membership:
    """Return a member's place from what the database says. `custom` are the permissions of a role of the
    organisation's own; words that left the vocabulary count no more. `projects` are roles by project."""
    held = ROLE_PERMISSIONS.get(role, _NOTHING) if custom is None else custom & ROLE_PERMISSIONS["owner"]
    given = {
        project_id: frozenset[str]().union(*(PROJECT_ROLE_PERMISSIONS.get(name, _NOTHING) for name in names))
        for project_id, names in (projects or {}).items()
    }
    return Membership(role, held, MappingProxyType(given))


def key_membership(projects: Collection[UUID]) -> Membership:
    """Return the place of an API key: in the organisation, and in its own projects even if they are
    closed."""
    given = MappingProxyType(dict.fromkeys(projects, API_KEY_PERMISSIONS))
    return Membership("key", API_KEY_PERMISSIONS, given)


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller: a person's session or an API key."""

    kind: Literal["session", "api_key"]
    user_id: UUID | None
    memberships: Mapping[UUID, Membership]
    """The caller's place by organisation id; an API key has the one entry of its organisation."""
    is_operator: bool = False
    session_id: UUID | None = None
    key: KeyGrant | None = None

    def permissions_in(self, org_id: UUID) -> frozenset[str]:
        """Return what the caller may do in a whole organisation; empty for a stranger."""
        found = self.memberships.get(org_id)
        return found.permissions if found is not None else _NOTHING

    def demand(self, org_id: UUID, permission: str) -> None:
        """Raise NotFound for a stranger (existence is not revealed), PermissionDenied for a member without
        it."""
        if org_id not in self.memberships:
            raise NotFound
        if permission not in self.permissions_in(org_id):
            raise PermissionDenied(f"This needs the permission '{permission}'.")

    def demand_in_project(self, org_id: UUID, project: ProjectPlace, permission: str) -> None:
        """Raise NotFound unless the caller has a part in the project, PermissionDenied without the
        permission."""
        found = self.memberships.get(org_id)
        if found is None or not found.may(project, "projects:read"):
            raise NotFound
        if not found.may(project, permission):
            raise PermissionDenied(f"This needs the permission '{permission}' in the project.")

    def may_operate(self, permission: str) -> bool:
        """Tell whether the caller operates the platform, in a session of their own; an API key never does."""
        if permission not in OPERATOR_PERMISSIONS:
            raise ValueError(f"unknown operator permission {permission}")
        return self.is_operator and self.kind == "session"

    def demand_operator(self, permission: str) -> None:
        """Raise PermissionDenied unless `may_operate`."""
        if not self.may_operate(permission):
            raise PermissionDenied("This is for operators of the platform.")
