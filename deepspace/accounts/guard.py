"""Permission as part of an endpoint's signature.

    async def read_wallet(access: Annotated[OrgAccess, Requires("billing:read")]) -> ...

An endpoint without one of these three markers fails tests/architecture/test_permissions.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import Depends, Request

from deepspace.accounts.authenticator import Authenticator
from deepspace.accounts.permissions import OPERATOR_PERMISSIONS, PERMISSIONS
from deepspace.accounts.principal import Membership, Principal
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
    authenticator: Authenticator = request.app.state.provided[Authenticator]
    credential = bearer(request.headers.get)
    return await authenticator.principal(credential, "management", client_ip(request))


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
        return OrgAccess(principal, org_id)


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


def RequiresOperator(permission: str) -> Any:  # noqa: N802 - reads as a type in a signature
    """Demand a permission of platform operators."""
    return Depends(OperatorPermission(permission))


SignedIn: Any = Depends(SignedInCaller())
