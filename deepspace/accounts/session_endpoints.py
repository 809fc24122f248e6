"""Sign in, refresh, sign out; the list of one's sessions."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response

from deepspace.accounts import identity_schemas, schemas
from deepspace.accounts.cookies import DEVICE, REFRESH, refuse_cross_site
from deepspace.accounts.desk import Desk, visit_of
from deepspace.accounts.errors import SessionExpired
from deepspace.accounts.guard import SignedIn
from deepspace.accounts.person import person_of
from deepspace.accounts.principal import Principal
from deepspace.accounts.sessions import SignedIn as SignedInTokens
from deepspace.accounts.tokens import ACCESS_TTL
from deepspace.kit.db import Record
from deepspace.kit.page import Page
from deepspace.kit.web import provided

router = APIRouter(prefix="/api", tags=["sign-in"])

Caller = Annotated[Principal, SignedIn]
AtDesk = Annotated[Desk, provided(Desk)]


def token_view(tokens: SignedInTokens) -> schemas.TokenView:
    """Return the part of a sign-in that goes into the body."""
    return schemas.TokenView(
        access_token=tokens.access_token,
        expires_in=int(ACCESS_TTL.total_seconds()),
        user=_user_view(tokens.user),
    )


def _user_view(row: Record) -> schemas.UserView:
    return schemas.UserView(id=row.id, email=row.email, name=row.name, is_operator=row.is_operator)


@router.post("/auth/login", summary="Sign in with e-mail and password")
async def login(
    body: schemas.LoginBody, request: Request, response: Response, desk: AtDesk
) -> schemas.TokenView:
    """Open a session: an access token in the body, a refresh token in a cookie.

    401 `second_factor_required` if the account has a second factor: `errors[0].challenge` goes to
    `/api/auth/login/second-factor` with the code. 429 `too_many_attempts` says in Retry-After how long to
    wait.
    """
    tokens = await desk.sign_in.by_password(
        email=body.email,
        password=body.password,
        device=desk.cookies.read(request, DEVICE),
        visit=visit_of(request),
    )
    desk.remember(request, response, tokens)
    return token_view(tokens)


@router.post("/auth/login/second-factor", summary="Finish a sign-in with a code")
async def login_second_factor(
    body: identity_schemas.SecondFactorBody, request: Request, response: Response, desk: AtDesk
) -> schemas.TokenView:
    """Open the session with a code of the authenticator app, or a recovery code, which then is used up."""
    tokens = await desk.sign_in.by_second_factor(
        challenge=body.challenge, code=body.code, visit=visit_of(request)
    )
    desk.remember(request, response, tokens)
    return token_view(tokens)


@router.post("/auth/refresh", summary="Exchange the refresh cookie for a new access token")
async def refresh(request: Request, response: Response, desk: AtDesk) -> schemas.TokenView:
    """Rotate the refresh token. One used twice ends the session: somebody holds a copy."""
    refuse_cross_site(request)
    token = desk.cookies.read(request, REFRESH)
    if token is None:
        raise SessionExpired
    async with desk.database.platform() as tx:
        tokens = await desk.sessions.refresh(tx, token)
    if tokens is None:
        raise SessionExpired("This session was ended because its refresh token was used twice.")
    desk.cookies.set_refresh(request, response, tokens.refresh_token)
    return token_view(tokens)


@router.post("/auth/logout", status_code=204, summary="Sign out")
async def logout(request: Request, response: Response, desk: AtDesk) -> None:
    """End the session of the refresh cookie; without one there is nothing to end."""
    refuse_cross_site(request)
    token = desk.cookies.read(request, REFRESH)
    if token is not None:
        async with desk.database.platform() as tx:
            session_id = await desk.sessions.sign_out(tx, token)
        desk.forget([session_id] if session_id is not None else [])
    desk.cookies.drop(response, REFRESH)


@router.get("/me/sessions", summary="My sessions")
async def my_sessions(principal: Caller, desk: AtDesk) -> Page[identity_schemas.SessionView]:
    """List the sign-ins that have not ended, the one used last first. There is one page."""
    person = person_of(principal)
    async with desk.database.platform() as tx:
        rows = await desk.sessions.of_user(tx, person.user_id)
    views = [
        identity_schemas.SessionView(
            id=row.id,
            current=row.id == person.session_id,
            user_agent=row.user_agent,
            ip=row.ip,
            created_at=row.created_at,
            last_used_at=row.refreshed_at,
            expires_at=row.expires_at,
        )
        for row in rows
    ]
    return Page(items=views, next_cursor=None)


@router.delete("/me/sessions", summary="End my other sessions")
async def end_other_sessions(principal: Caller, desk: AtDesk) -> identity_schemas.EndedView:
    """End every session but the one of this request."""
    person = person_of(principal)
    async with desk.database.platform() as tx:
        ended = await desk.sessions.end_all(tx, person.user_id, "ended by its owner", keep=person.session_id)
    desk.forget(ended)
    return identity_schemas.EndedView(ended=len(ended))


@router.delete("/me/sessions/{session}", status_code=204, summary="End one of my sessions")
async def end_session(session: UUID, principal: Caller, desk: AtDesk) -> None:
    """End a session: its access token is refused at once here, within a second elsewhere."""
    person = person_of(principal)
    async with desk.database.platform() as tx:
        await desk.sessions.end(tx, person.user_id, session)
    desk.forget([session])
