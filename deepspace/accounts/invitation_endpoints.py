"""/api/organizations/{org}/invitations and /api/invitations/{token}."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from deepspace.accounts import org_schemas
from deepspace.accounts.authenticator import Authenticator
from deepspace.accounts.desk import Desk
from deepspace.accounts.guard import OrgAccess, Requires, SignedIn
from deepspace.accounts.invitation_mail import InvitationMail
from deepspace.accounts.invitation_repository import InvitationRepository
from deepspace.accounts.invitations import InvitationService, InvitationWish
from deepspace.accounts.org_repository import OrgRowRepository
from deepspace.accounts.organizations import RoleChoice
from deepspace.accounts.person import person_of
from deepspace.accounts.principal import Principal
from deepspace.accounts.throttle import INVITATION_MAIL, INVITATION_MAILS, Knock
from deepspace.kit.db import Database, Record, Transaction
from deepspace.kit.page import Limit, Page, decode_cursor, page_of
from deepspace.kit.web import provided

router = APIRouter(prefix="/api", tags=["invitations"])

Invitations = Annotated[InvitationService, provided(InvitationService)]
InvitationPost = Annotated[InvitationMail, provided(InvitationMail)]
Db = Annotated[Database, provided(Database)]
AtDesk = Annotated[Desk, provided(Desk)]
Inviter = Annotated[OrgAccess, Requires("members:write")]


def _view(row: Record, service: InvitationService) -> org_schemas.InvitationView:
    return org_schemas.InvitationView(
        id=row.id,
        email=row.email,
        role=row.role,
        role_id=row.role_id,
        role_name=row.role_name,
        team_id=row.team_id,
        project_id=row.project_id,
        project_role=row.project_role,
        state=service.state(row),
        inviter=row.inviter,
        created_at=row.created_at,
        expires_at=row.expires_at,
        accepted_by=row.accepted_by,
    )


async def _name(tx: Transaction, org_id: UUID) -> str:
    org = await OrgRowRepository(tx, org_id).org()
    return org.name if org is not None else ""


def _issued(
    row: Record, token: str, organization: str, service: InvitationService, post: InvitationMail
) -> org_schemas.NewInvitationView:
    """Post the mail if an address was named, and return the answer with the token."""
    if row.email is not None:
        post.send(
            to=row.email,
            organization=organization,
            inviter=row.inviter or organization,
            token=token,
            expires_at=row.expires_at,
        )
    view = _view(row, service)
    return org_schemas.NewInvitationView(**view.model_dump(), token=token, url=post.url(token))


async def _admit_mail(desk: Desk, org_id: UUID, to: str | None) -> None:
    """Count a mail before it is written; TooManyAttempts if too many went to this address, or from this
    organisation."""
    if to is not None:
        here = Knock(INVITATION_MAILS, str(org_id))
        await desk.throttle.admit(Knock(INVITATION_MAIL, to.lower()), here)


@router.get("/organizations/{org}/invitations", summary="Invitations of an organisation")
async def invitations(
    access: Inviter,
    service: Invitations,
    db: Db,
    limit: Annotated[Limit, Query()] = 50,
    cursor: str | None = None,
) -> Page[org_schemas.InvitationView]:
    """List invitations, newest first, without their tokens."""
    before = decode_cursor(cursor) if cursor is not None else None
    async with db.tenant(access.org_id) as tx:
        rows = await InvitationRepository(tx, access.org_id).invitations(limit + 1, before)
    return page_of(rows, limit, lambda row: _view(row, service), lambda row: (row.created_at, row.id))


@router.post("/organizations/{org}/invitations", status_code=201, summary="Invite somebody")
async def invite(
    body: org_schemas.NewInvitationBody,
    access: Inviter,
    service: Invitations,
    post: InvitationPost,
    desk: AtDesk,
    db: Db,
) -> org_schemas.NewInvitationView:
    """Make an invitation for one person. `token` and `url` are in this answer and nowhere else; if an address
    is named, a mail with the link goes to it, and nobody else may accept. 429 after many mails to one
    address."""
    await _admit_mail(desk, access.org_id, body.email)
    wish = InvitationWish(
        RoleChoice(body.role, body.role_id),
        body.email,
        body.team_id,
        body.project_id,
        body.project_role,
        timedelta(days=body.expires_in_days),
    )
    async with db.tenant(access.org_id) as tx:
        row, token = await service.make(tx, access.org_id, access.principal, wish)
        name = await _name(tx, access.org_id)
    return _issued(row, token, name, service, post)


@router.post("/organizations/{org}/invitations/{invitation}/resend", summary="Send an invitation again")
async def resend(
    invitation: UUID, access: Inviter, service: Invitations, post: InvitationPost, desk: AtDesk, db: Db
) -> org_schemas.NewInvitationView:
    """Give an invitation a new token and its whole time again. The old token ends. 429 after many mails to
    one address."""
    async with db.tenant(access.org_id) as tx:
        to = (await service.invitation(tx, access.org_id, invitation)).email
    await _admit_mail(desk, access.org_id, to)
    async with db.tenant(access.org_id) as tx:
        row, token = await service.resend(tx, access.org_id, access.principal, invitation)
        name = await _name(tx, access.org_id)
    return _issued(row, token, name, service, post)


@router.delete(
    "/organizations/{org}/invitations/{invitation}", status_code=204, summary="Take an invitation back"
)
async def revoke(invitation: UUID, access: Inviter, service: Invitations, db: Db) -> None:
    """Take an invitation back; one that was accepted is a 410."""
    async with db.tenant(access.org_id) as tx:
        await service.revoke(tx, access.org_id, access.principal, invitation)


@router.get("/invitations/{token}", summary="What an invitation is for")
async def preview(token: str, service: Invitations, db: Db) -> org_schemas.InvitationPreview:
    """Show who holds an invitation's token what it is for. Unknown tokens are a 404; used, expired and
    revoked ones a 410 that says which."""
    async with db.platform() as tx:
        row = await service.open_one(tx, token)
    return org_schemas.InvitationPreview(
        organization_name=row.organization,
        role=row.role_name or row.role,
        inviter=row.inviter,
        expires_at=row.expires_at,
        for_email=row.email is not None,
    )


@router.post("/invitations/{token}/accept", summary="Accept an invitation")
async def accept(
    token: str,
    principal: Annotated[Principal, SignedIn],
    service: Invitations,
    sessions: Annotated[Authenticator, provided(Authenticator)],
    db: Db,
) -> org_schemas.AcceptedView:
    """Become a member. For people in a session; an invitation is good once, for one person."""
    person = person_of(principal)
    async with db.platform() as tx:
        invitee = await service.invitee(tx, person.user_id)
        org_id = await service.accept(tx, token, invitee)
    sessions.forget_session(person.session_id)
    return org_schemas.AcceptedView(organization_id=org_id)
