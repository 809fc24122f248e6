"""Registration, passwords, the address, the profile, deletion: what a person does with their own account."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Request, Response

from deepspace.accounts import identity_schemas as bodies
from deepspace.accounts import schemas
from deepspace.accounts.cookies import REFRESH
from deepspace.accounts.deletion import DeletionService
from deepspace.accounts.desk import Desk, visit_of
from deepspace.accounts.guard import SignedIn
from deepspace.accounts.password_change import PasswordService
from deepspace.accounts.person import person_of
from deepspace.accounts.principal import Principal
from deepspace.accounts.profile import ProfileService
from deepspace.accounts.queries import AccountsQueries
from deepspace.accounts.registration import Newcomer, RegistrationService
from deepspace.accounts.session_endpoints import token_view
from deepspace.accounts.sign_in import may_mail
from deepspace.accounts.throttle import REGISTRATION, Knock
from deepspace.kit.errors import PlatformError
from deepspace.kit.log import get_logger
from deepspace.kit.web import client_ip, provided

router = APIRouter(prefix="/api", tags=["my account"])
log = get_logger(__name__)

Caller = Annotated[Principal, SignedIn]
AtDesk = Annotated[Desk, provided(Desk)]
Profiles = Annotated[ProfileService, provided(ProfileService)]
PasswordVerbs = Annotated[PasswordService, provided(PasswordService)]
Deletion = Annotated[DeletionService, provided(DeletionService)]
Registration = Annotated[RegistrationService, provided(RegistrationService)]
Queries = Annotated[AccountsQueries, provided(AccountsQueries)]


@router.get("/auth/registration", summary="Who may register")
async def registration_mode(registration: Registration) -> bodies.RegistrationView:
    """Return whether one registers freely, with an invitation, or not at all."""
    return bodies.RegistrationView(mode=registration.mode)


@router.post("/auth/register", status_code=201, summary="Register")
async def register(
    body: bodies.RegisterBody,
    request: Request,
    response: Response,
    registration: Registration,
    profiles: Profiles,
    desk: AtDesk,
) -> schemas.TokenView:
    """Make an account and sign in to it. A mail asks to confirm the address; until then `/api/me` says
    `email_verified: false`."""
    await desk.throttle.admit(Knock(REGISTRATION, client_ip(request)))
    newcomer = Newcomer(
        body.email, body.name, body.organization_name, body.invitation_token, locale=body.locale
    )
    async with desk.database.platform() as tx:
        await registration.check(tx, newcomer)
    encoded = await desk.passwords.hash(body.password)
    async with desk.database.platform() as tx:
        user = await registration.register(tx, newcomer, encoded)
        mail = await profiles.ask_verification(tx, user)
        tokens = await desk.sessions.open(tx, user, visit_of(request), how="registration")
    desk.post.post(mail)
    desk.remember(request, response, tokens)
    return token_view(tokens)


@router.post("/auth/password/change", status_code=204, summary="Change my password")
async def change_password(
    body: bodies.ChangePasswordBody,
    principal: Caller,
    verbs: PasswordVerbs,
    desk: AtDesk,
) -> None:
    """Set a new password; the current one is needed. Every other session ends."""
    person = person_of(principal)
    user = await desk.again.confirm(person, body.current_password)
    encoded = await desk.passwords.hash(body.new_password)
    async with desk.database.platform() as tx:
        ended, notice = await verbs.change(tx, user, encoded, keep=person.session_id)
    desk.forget(ended)
    desk.post.post(notice)


@router.post("/auth/password/forgot", status_code=202, summary="Ask for a new password")
async def forgot_password(
    body: bodies.ForgotBody,
    background: BackgroundTasks,
    verbs: PasswordVerbs,
    desk: AtDesk,
) -> None:
    """Send a link if the address has an account. The answer is the same, and as quick, if it has none: the
    address is looked up after it was given."""
    background.add_task(_send_reset, body.email.strip(), verbs, desk)


@router.post("/auth/password/reset", status_code=204, summary="Set a new password by a link")
async def reset_password(body: bodies.ResetBody, verbs: PasswordVerbs, desk: AtDesk) -> None:
    """Set a password with the token of a mailed link, which works once, for 30 minutes. Every session
    ends."""
    async with desk.database.platform() as tx:
        await verbs.demand_link(tx, body.token)
    encoded = await desk.passwords.hash(body.password)
    async with desk.database.platform() as tx:
        ended, notice = await verbs.reset(tx, body.token, encoded)
    desk.forget(ended)
    desk.post.post(notice)


@router.post("/auth/email/confirm", status_code=204, summary="Confirm an e-mail address by a link")
async def confirm_email(body: bodies.ConfirmEmailBody, profiles: Profiles, desk: AtDesk) -> None:
    """Take the token of a mailed link: the address is proved, or becomes the account's new one."""
    async with desk.database.platform() as tx:
        await profiles.confirm(tx, body.token)


@router.patch("/me", summary="Change my profile")
async def update_me(
    body: bodies.ProfileBody,
    principal: Caller,
    profiles: Profiles,
    queries: Queries,
    desk: AtDesk,
) -> schemas.MeView:
    """Change name or language; what is left out stays."""
    person = person_of(principal)
    changes: dict[str, Any] = body.model_dump(exclude_none=True)
    async with desk.database.platform() as tx:
        await profiles.update(tx, person.user_id, changes)
        return await queries.me(tx, principal)


@router.post("/me/email", status_code=202, summary="Change my e-mail address")
async def change_email(
    body: bodies.ChangeEmailBody,
    principal: Caller,
    profiles: Profiles,
    desk: AtDesk,
) -> None:
    """Send a link to the new address; opening it makes the change. The old address gets a notice. The
    password is needed."""
    user = await desk.again.confirm(person_of(principal), body.password)
    if await may_mail(desk.throttle, body.email):
        async with desk.database.platform() as tx:
            mails = await profiles.ask_change(tx, user, body.email)
        for mail in mails:
            desk.post.post(mail)


@router.post("/me/email/verification", status_code=202, summary="Send the confirmation of my address again")
async def resend_verification(
    principal: Caller,
    queries: Queries,
    profiles: Profiles,
    desk: AtDesk,
) -> None:
    """Send a new link; the earlier one ends. 409 if the address is confirmed."""
    person = person_of(principal)
    async with desk.database.platform() as tx:
        user = await queries.user(tx, person.user_id)
        mail = await profiles.ask_verification(tx, user)
    if await may_mail(desk.throttle, user.email):
        desk.post.post(mail)


@router.get("/me/deletion", summary="What would go with my account")
async def deletion_outlook(
    principal: Caller,
    deletion: Deletion,
    queries: Queries,
    desk: AtDesk,
) -> bodies.DeletionView:
    """Look ahead; nothing changes. `hand_over_first` marks organisations that need another owner first."""
    person = person_of(principal)
    async with desk.database.platform() as tx:
        outlook = await deletion.outlook(tx, await queries.user(tx, person.user_id))
    return bodies.DeletionView(
        possible=not outlook.obstacles,
        obstacles=list(outlook.obstacles),
        organizations=[
            bodies.DeletionOrganizationView(id=place.id, name=place.name, fate=place.fate)
            for place in outlook.organizations
        ],
        api_keys=len(outlook.api_keys),
        sessions=outlook.sessions,
    )


@router.delete("/me", status_code=204, summary="Delete my account")
async def delete_me(
    body: bodies.PasswordBody,
    principal: Caller,
    response: Response,
    deletion: Deletion,
    desk: AtDesk,
) -> None:
    """Delete the account for good; the password is needed. Books keep its id and nothing else of it. 409
    `ownership_first` for the only owner of an organisation with other members."""
    user = await desk.again.confirm(person_of(principal), body.password)
    async with desk.database.platform() as tx:
        _, ended = await deletion.delete(tx, user)
    desk.forget(ended)
    desk.cookies.drop(response, REFRESH)


async def _send_reset(email: str, verbs: PasswordService, desk: Desk) -> None:
    """Look an address up and mail a link; whoever asked has their answer already."""
    try:
        if not await may_mail(desk.throttle, email):
            return
        async with desk.database.platform() as tx:
            mail = await verbs.forgotten(tx, email)
        if mail is not None:
            desk.post.post(mail)
    except PlatformError as error:
        log.warning("a forgotten password was not looked after", code=error.code)
