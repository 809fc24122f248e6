"""Permission as part of an endpoint's signature.

    async def read_wallet(access: Annotated[OrgAccess, Requires("billing:read")]) -> ...

An endpoint without one of these markers fails tests/architecture/test_permissions.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from fastapi import Depends, Request

from deepspace.accounts.authenticator import Authenticator
from deepspace.accounts.permissions import OPERATOR_PERMISSIONS, PERMISSIONS
from deepspace.accounts.principal import Membership, Principal, ProjectPlace
from deepspace.accounts.repository import OrgRepository
from deepspace.kit.db import Database
from deepspace.kit.errors import NotFound
from deepspace.kit.ids import parse_uuid
from deepspace.kit.web import bearer, client_ip


@dataclass(frozen=True, slots=True)
class OrgAccess:
    """A caller who may do the declared thing in the organisation of the path."""

    principal: Principal
    org_id: UUID

    @property
    def membership(self) -> Membership:
        """The caller's place in that organisation."""
        return self.principal.memberships[self.org_id]


async def _principal(request: Request) -> Principal:
    known: Principal | None = getattr(request.state, "principal", None)  # see Gateway._know
    if known is not None:
        return known
    authenticator: Authenticator = request.app.state.provided[Authenticator]
    credential = bearer(request.headers.get("authorization"))
    return await authenticator.principal(credential, "management", client_ip(request))


class AddressGate(Protocol):
    """What an organisation's policy says about where its management API may be called from."""

    async def admit_to(self, org_id: UUID, client_ip: str) -> None:
        """Raise if this address is refused."""
        ...


async def _admit(request: Request, org_id: UUID) -> None:
    """Hold a caller who may against the organisation's address rules: strangers learn nothing of them."""
    gate: AddressGate = request.app.state.provided[AddressGate]
    await gate.admit_to(org_id, client_ip(request))


class OrgPermission:
    """Demands a permission in the organisation named by the path parameter `org`."""

    def __init__(self, permission: str) -> None:
        """Refuse a name that is not in the vocabulary."""
        if permission not in PERMISSIONS:
            raise ValueError(f"unknown permission {permission}")
        self.permission = permission

    async def __call__(self, request: Request, org: str) -> OrgAccess:
        """Authenticate, then demand. An id that is none is as unknown as any other: 404."""
        principal = await _principal(request)
        org_id = parse_uuid(org)
        if org_id is None:
            raise NotFound
        principal.demand(org_id, self.permission)
        await _admit(request, org_id)
        return OrgAccess(principal, org_id)


@dataclass(frozen=True, slots=True)
class ProjectAccess(OrgAccess):
    """A caller who may do the declared thing in the project of the path."""

    project_id: UUID


class ProjectPermission:
    """Demands a permission in the project named by the path parameters `org` and `project`: in the project,
    or in the organisation as far as the caller reaches into the project."""

    def __init__(self, permission: str) -> None:
        """Refuse a name that is not in the vocabulary."""
        if permission not in PERMISSIONS:
            raise ValueError(f"unknown permission {permission}")
        self.permission = permission

    async def __call__(self, request: Request, org: str, project: str) -> ProjectAccess:
        """Authenticate, then demand. A closed project is not there for who has no part in it: 404."""
        principal = await _principal(request)
        org_id, project_id = parse_uuid(org), parse_uuid(project)
        if org_id is None or project_id is None or org_id not in principal.memberships:
            raise NotFound
        database: Database = request.app.state.provided[Database]
        async with database.tenant(org_id) as tx:
            row = await OrgRepository(tx, org_id).project(project_id)
        if row is None:
            raise NotFound
        place = ProjectPlace(project_id, row.access == "organization")
        principal.demand_in_project(org_id, place, self.permission)
        await _admit(request, org_id)
        return ProjectAccess(principal, org_id, project_id)


class OperatorPermission:
    """Demands a permission of platform operators."""

    def __init__(self, permission: str) -> None:
        """Refuse a name that is not in the vocabulary."""
        if permission not in OPERATOR_PERMISSIONS:
            raise ValueError(f"unknown operator permission {permission}")
        self.permission = permission

    async def __call__(self, request: Request) -> Principal:
        """Authenticate, then demand."""
        principal = await _principal(request)
        principal.demand_operator(self.permission)
        return principal


class SignedInCaller:
    """Demands valid credentials and nothing more: what the endpoint shows is the caller's own."""

    permission = "signed-in"

    async def __call__(self, request: Request) -> Principal:
        """Authenticate."""
        return await _principal(request)


def Requires(permission: str) -> Any:  # noqa: N802 - reads as a type in a signature
    """Demand a permission in the organisation of the path."""
    return Depends(OrgPermission(permission))


def RequiresInProject(permission: str) -> Any:  # noqa: N802 - reads as a type in a signature
    """Demand a permission in the project of the path."""
    return Depends(ProjectPermission(permission))


def RequiresOperator(permission: str) -> Any:  # noqa: N802 - reads as a type in a signature
    """Demand a permission of platform operators."""
    return Depends(OperatorPermission(permission))


SignedIn: Any = Depends(SignedInCaller())
