"""Who is asking: the result of authentication, carried by every call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from deepspace.accounts.permissions import API_KEY_PERMISSIONS, OPERATOR_PERMISSIONS, ROLE_PERMISSIONS
from deepspace.kit.errors import NotFound, PermissionDenied


@dataclass(frozen=True, slots=True)
class KeyGrant:
    """The API key behind a call."""

    id: UUID
    name: str
    org_id: UUID
    project_id: UUID
    models: frozenset[str] | None
    """The models the key may call; None for every model."""


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller: a person's session or an API key."""

    kind: Literal["session", "api_key"]
    user_id: UUID | None
    roles: Mapping[UUID, str]
    """Role by organisation id; an API key has the one entry of its organisation."""
    is_operator: bool = False
    session_id: UUID | None = None
    key: KeyGrant | None = None

    def permissions_in(self, org_id: UUID) -> frozenset[str]:
        """Return what the caller may do in an organisation; empty for a stranger."""
        role = self.roles.get(org_id)
        if role is None:
            return frozenset()
        return API_KEY_PERMISSIONS if self.kind == "api_key" else ROLE_PERMISSIONS.get(role, frozenset())

    def demand(self, org_id: UUID, permission: str) -> None:
        """Raise NotFound for a stranger (existence is not revealed), PermissionDenied for a member without
        it."""
        if org_id not in self.roles:
            raise NotFound
        if permission not in self.permissions_in(org_id):
            raise PermissionDenied(f"This needs the permission '{permission}'.")

    def may_operate(self, permission: str) -> bool:
        """Tell whether the caller operates the platform, in a session of their own; an API key never does."""
        if permission not in OPERATOR_PERMISSIONS:
            raise ValueError(f"unknown operator permission {permission}")
        return self.is_operator and self.kind == "session"

    def demand_operator(self, permission: str) -> None:
        """Raise PermissionDenied unless `may_operate`."""
        if not self.may_operate(permission):
            raise PermissionDenied("This is for operators of the platform.")
