"""/api/auth, /api/me, organisations, projects and API keys."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response

from deepspace.accounts import schemas
from deepspace.accounts.authenticator import Authenticator
from deepspace.accounts.errors import SessionExpired
from deepspace.accounts.guard import OrgAccess, Requires, SignedIn
from deepspace.accounts.principal import Principal
from deepspace.accounts.queries import AccountsQueries
from deepspace.accounts.service import AccountsService
from deepspace.accounts.service import SignedIn as SignedInTokens
from deepspace.accounts.tokens import ACCESS_TTL
from deepspace.kit.db import Database, Record
from deepspace.kit.errors import PermissionDenied
from deepspace.kit.page import Page
from deepspace.kit.web import client_ip, provided

router = APIRouter(prefix="/api", tags=["accounts"])

COOKIE = "deepspace_refresh"
COOKIE_SECURE = "__Secure-deepspace_refresh"
_COOKIE_PATH = "/api/auth"

Accounts = Annotated[AccountsService, provided(AccountsService)]
Queries = Annotated[AccountsQueries, provided(AccountsQueries)]
Db = Annotated[Database, provided(Database)]


def _refuse_cross_site(request: Request) -> None:
    """Refuse a request that another site's page makes with our cookie (Fetch Metadata, W3C)."""
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise PermissionDenied("Requests from other sites are refused here.")


def _set_cookie(request: Request, response: Response, token: str, accounts: AccountsService) -> None:
    secure = request.url.scheme == "https"
    response.set_cookie(
        COOKIE_SECURE if secure else COOKIE,
        token,
        max_age=int(accounts.session_ttl.total_seconds()),
        path=_COOKIE_PATH,
        secure=secure,
        httponly=True,
        samesite="strict",
    )


def _cookie(request: Request) -> str | None:
    return request.cookies.get(COOKIE_SECURE) or request.cookies.get(COOKIE)


def _token_view(tokens: SignedInTokens) -> schemas.TokenView:
    return schemas.TokenView(
        access_token=tokens.access_token,
        expires_in=int(ACCESS_TTL.total_seconds()),
        user=_user_view(tokens.user),
    )


def _user_view(row: Record) -> schemas.UserView:
    return schemas.UserView(id=row.id, email=row.email, name=row.name, is_operator=row.is_operator)


@router.post("/auth/login", summary="Sign in with e-mail and password")
async def login(
    body: schemas.LoginBody, request: Request, response: Response, accounts: Accounts, db: Db
) -> schemas.TokenView:
    """Open a session: an access token in the body, a refresh token in a cookie."""
    async with db.platform() as tx:
        tokens = await accounts.login(
            tx,
            email=body.email,
            password=body.password,
            user_agent=request.headers.get("user-agent", ""),
            ip=client_ip(request),
        )
    _set_cookie(request, response, tokens.refresh_token, accounts)
    return _token_view(tokens)


@router.post("/auth/refresh", summary="Exchange the refresh cookie for a new access token")
async def refresh(request: Request, response: Response, accounts: Accounts, db: Db) -> schemas.TokenView:
    """Rotate the refresh token. One used twice ends the session: somebody holds a copy."""
    _refuse_cross_site(request)
    token = _cookie(request)
    if token is None:
        raise SessionExpired
    async with db.platform() as tx:
        tokens = await accounts.refresh(tx, token)
    if tokens is None:
        raise SessionExpired("This session was ended because its refresh token was used twice.")
    _set_cookie(request, response, tokens.refresh_token, accounts)
    return _token_view(tokens)


@router.post("/auth/logout", status_code=204, summary="Sign out")
async def logout(
    request: Request,
    response: Response,
    accounts: Accounts,
    db: Db,
    authenticator: Annotated[Authenticator, provided(Authenticator)],
) -> None:
    """End the session of the refresh cookie; without one there is nothing to end."""
    _refuse_cross_site(request)
    token = _cookie(request)
    if token is not None:
        async with db.platform() as tx:
            session_id = await accounts.logout(tx, token)
        if session_id is not None:
            authenticator.forget_session(session_id)
    for name in (COOKIE, COOKIE_SECURE):
        response.delete_cookie(name, path=_COOKIE_PATH)


@router.get("/me", summary="Who am I")
async def me(principal: Annotated[Principal, SignedIn], queries: Queries, db: Db) -> schemas.MeView:
    """Return the caller and the organisations they belong to."""
    async with db.platform() as tx:
        return await queries.me(tx, principal)


@router.get("/organizations", summary="My organisations")
async def organizations(
    principal: Annotated[Principal, SignedIn], queries: Queries, db: Db
) -> Page[schemas.OrganizationView]:
    """List the organisations of the caller."""
    async with db.platform() as tx:
        return Page(items=await queries.organizations(tx, principal), next_cursor=None)


@router.get("/organizations/{org}/projects", summary="Projects of an organisation")
async def projects(
    access: Annotated[OrgAccess, Requires("organization:read")], queries: Queries, db: Db
) -> Page[schemas.ProjectView]:
    """List the projects that are not archived."""
    async with db.tenant(access.org_id) as tx:
        return Page(items=await queries.projects(tx, access.org_id, access.membership), next_cursor=None)


@router.post("/organizations/{org}/projects", status_code=201, summary="Create a project")
async def create_project(
    body: schemas.NewProjectBody,
    access: Annotated[OrgAccess, Requires("projects:write")],
    accounts: Accounts,
    db: Db,
) -> schemas.ProjectView:
    """Create a project."""
    async with db.tenant(access.org_id) as tx:
        project_id = await accounts.create_project(tx, access.org_id, name=body.name)
    return schemas.ProjectView(id=project_id, name=body.name)
