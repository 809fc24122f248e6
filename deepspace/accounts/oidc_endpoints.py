"""Sign-in with an OpenID provider, and the providers connected to one's own account."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from deepspace.accounts import identity_schemas as bodies
from deepspace.accounts.cookies import OIDC_WAY
from deepspace.accounts.desk import Desk, visit_of
from deepspace.accounts.guard import SignedIn
from deepspace.accounts.oidc import OidcSignIn
from deepspace.accounts.person import person_of
from deepspace.accounts.principal import Principal
from deepspace.accounts.queries import AccountsQueries
from deepspace.accounts.sign_in import Challenge
from deepspace.kit.errors import PlatformError
from deepspace.kit.web import provided

router = APIRouter(prefix="/api", tags=["sign-in"])

Caller = Annotated[Principal, SignedIn]
AtDesk = Annotated[Desk, provided(Desk)]
Oidc = Annotated[OidcSignIn, provided(OidcSignIn)]

_HOME, _LOGIN, _SETTINGS = "/", "/login", "/settings"


@router.get("/auth/oidc", summary="Sign-in providers")
async def providers(oidc: Oidc) -> bodies.ProvidersView:
    """List the providers an operator has set up."""
    views = [
        bodies.ProviderView(name=name, label=provider.config.label)
        for name, provider in oidc.providers.items()
    ]
    return bodies.ProvidersView(items=views)


@router.get("/auth/oidc/{provider}", status_code=303, summary="Go to a sign-in provider")
async def depart(
    provider: str,
    request: Request,
    oidc: Oidc,
    desk: AtDesk,
    invitation_token: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """Send the browser to the provider. It comes back to `…/callback`."""
    try:
        departure = await oidc.depart(provider, invitation=invitation_token)
    except PlatformError as error:
        return _away(f"{_LOGIN}#error={error.code}")
    response = _away(departure.url)
    desk.cookies.set_oidc_way(request, response, departure.cookie)
    return response


@router.get("/auth/oidc/{provider}/callback", status_code=303, summary="Come back from a sign-in provider")
async def come_back(
    provider: str,
    request: Request,
    oidc: Oidc,
    desk: AtDesk,
    *,
    code: Annotated[str | None, Query(max_length=4000)] = None,
    state: Annotated[str | None, Query(max_length=500)] = None,
    iss: Annotated[str | None, Query(max_length=500)] = None,
) -> Response:
    """Sign in whom the provider names, and go to the web app: `/`, or `/login#challenge=…` if a second
    factor is needed, or `/login#error=<code>`."""
    try:
        way = oidc.way_back(provider, desk.cookies.read(request, OIDC_WAY), state)
        identity = await oidc.identity(way, code, iss)
        async with desk.database.platform() as tx:
            if way.link_to is not None:
                await oidc.connect(tx, identity, way)
                let_in = None
            else:
                user = await oidc.account(tx, identity, way.invitation)
                let_in = await desk.sign_in.after_first_factor(tx, user, visit_of(request), how="oidc")
    except PlatformError as error:
        response = _away(f"{_LOGIN}#error={error.code}")
    else:
        if let_in is None:
            response = _away(f"{_SETTINGS}#connected={provider}")
        elif isinstance(let_in, Challenge):
            response = _away(f"{_LOGIN}#challenge={let_in.token}")
        else:
            response = _away(_HOME)
            desk.remember(request, response, let_in)
    desk.cookies.drop(response, OIDC_WAY)
    return response


@router.get("/me/identities", summary="Providers connected to my account")
async def identities(principal: Caller, oidc: Oidc, desk: AtDesk) -> bodies.IdentitiesView:
    """List them, oldest first."""
    person = person_of(principal)
    async with desk.database.platform() as tx:
        rows = await oidc.of_user(tx, person.user_id)
    views = [
        bodies.IdentityView(
            id=row.id,
            provider=row.provider,
            email=row.email,
            created_at=row.created_at,
            last_used_at=row.last_used_at,
        )
        for row in rows
    ]
    return bodies.IdentitiesView(items=views)


@router.post("/me/identities/{provider}", summary="Connect a provider to my account")
async def connect(
    provider: str,
    body: bodies.PasswordBody,
    principal: Caller,
    oidc: Oidc,
    desk: AtDesk,
    *,
    request: Request,
    response: Response,
) -> bodies.DepartureView:
    """Return where to send the browser; whoever signs in there opens this account from then on. The
    password is needed."""
    person = person_of(principal)
    await desk.again.confirm(person, body.password)
    departure = await oidc.depart(provider, link_to=person)
    desk.cookies.set_oidc_way(request, response, departure.cookie)
    return bodies.DepartureView(authorization_url=departure.url)


@router.delete("/me/identities/{identity}", status_code=204, summary="Disconnect a provider")
async def disconnect(
    identity: UUID,
    principal: Caller,
    oidc: Oidc,
    queries: Annotated[AccountsQueries, provided(AccountsQueries)],
    desk: AtDesk,
) -> None:
    """Let it open the account no more; 409 if it is the only way in."""
    person = person_of(principal)
    async with desk.database.platform() as tx:
        await oidc.unlink(tx, await queries.user(tx, person.user_id), identity)


def _away(url: str) -> Response:
    return RedirectResponse(url, 303, headers={"cache-control": "no-store"})
