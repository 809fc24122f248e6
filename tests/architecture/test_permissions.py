"""Every address under /api says in its signature who may use it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute

from deepspace.accounts.guard import (
    OperatorPermission,
    OrgPermission,
    ProjectPermission,
    Requires,
    RequiresOperator,
    SignedIn,
    SignedInCaller,
)
from deepspace.gateway.routes import ROUTERS

PUBLIC = {
    "/api/auth/login",
    "/api/auth/login/second-factor",
    "/api/auth/refresh",
    "/api/auth/logout",
    "/api/auth/registration",
    "/api/auth/register",
    "/api/auth/password/forgot",
    "/api/auth/password/reset",
    "/api/auth/email/confirm",
    "/api/auth/oidc",
    "/api/auth/oidc/{provider}",
    "/api/auth/oidc/{provider}/callback",
    "/api/invitations/{token}",
    "/api/webhooks/payments",
}
"""What needs no permission: it gives or ends one, it takes a token from a mail instead, it says how one may
sign in, or (the payment provider's event) it is signed. Think long before adding a line."""

MARKERS = (OrgPermission, ProjectPermission, OperatorPermission, SignedInCaller)


def routes() -> Iterator[APIRoute]:
    """Yield every route of the management API."""
    for router in ROUTERS:
        for route in router.routes:
            assert isinstance(route, APIRoute), route
            yield route


def markers(route: APIRoute) -> list[Any]:
    """Return the markers among the dependencies of a route."""
    return [item.call for item in route.dependant.dependencies if isinstance(item.call, MARKERS)]


def fault(route: APIRoute) -> str | None:
    """Return what is wrong with a route's permission, or None."""
    found = markers(route)
    if route.path in PUBLIC:
        return None if not found else "is public and has a permission"
    if len(found) != 1:
        return f"has {len(found)} permissions; exactly one says who may use it"
    if route.path.startswith("/api/admin/") != isinstance(found[0], OperatorPermission):
        return "an address is an operator's exactly when it lies under /api/admin"
    if ("{org}" in route.path) != isinstance(found[0], OrgPermission | ProjectPermission):
        return "an address of an organisation demands a permission in it"
    if ("/projects/{project}" in route.path) != isinstance(found[0], ProjectPermission):
        return "an address of a project demands a permission in that project"
    return None


@pytest.mark.parametrize(
    "route", list(routes()), ids=lambda route: f"{sorted(route.methods)[0]} {route.path}"
)
def test_an_address_declares_who_may_use_it(route: APIRoute) -> None:
    assert route.path.startswith("/api/")
    assert fault(route) is None


def test_the_list_of_public_addresses_names_only_what_exists() -> None:
    assert {route.path for route in routes()} >= PUBLIC


def test_the_rule_finds_an_address_without_a_permission_and_one_with_the_wrong_kind() -> None:
    router = APIRouter(prefix="/api")

    @router.get("/open")
    async def none_at_all() -> None: ...

    @router.get("/organizations/{org}/open")
    async def only_signed_in(_: Annotated[Any, SignedIn]) -> None: ...

    @router.get("/admin/open")
    async def only_an_owner(_: Annotated[Any, SignedIn]) -> None: ...

    @router.get("/closed")
    async def closed(_: Annotated[Any, RequiresOperator("operator:users")]) -> None: ...

    @router.get("/organizations/{org}/projects/{project}/open")
    async def not_in_the_project(_: Annotated[Any, Requires("projects:read")]) -> None: ...

    @router.get("/organizations/{org}/twice")
    async def twice(
        _: Annotated[Any, Requires("billing:read")], __: Annotated[Any, Requires("chat:use")]
    ) -> None: ...

    assert all(fault(route) for route in router.routes if isinstance(route, APIRoute))
    assert len(router.routes) == 6
