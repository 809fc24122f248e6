"""The second factor of one's own account: authenticator app and recovery codes."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter

from deepspace.accounts import identity_schemas as bodies
from deepspace.accounts.desk import Desk
from deepspace.accounts.guard import SignedIn
from deepspace.accounts.person import person_of
from deepspace.accounts.principal import Principal
from deepspace.accounts.throttle import SECOND_FACTOR, Knock
from deepspace.accounts.totp import SecondFactor
from deepspace.kit.web import provided

router = APIRouter(prefix="/api/me/second-factor", tags=["my account"])

Caller = Annotated[Principal, SignedIn]
AtDesk = Annotated[Desk, provided(Desk)]
Factor = Annotated[SecondFactor, provided(SecondFactor)]


@router.get("", summary="My second factor")
async def second_factor(principal: Caller, factor: Factor, desk: AtDesk) -> bodies.FactorView:
    """Return whether it is on, and how many recovery codes are left."""
    person = person_of(principal)
    async with desk.database.platform() as tx:
        state = await factor.state(tx, person.user_id)
    return bodies.FactorView(enabled=state.enabled, recovery_codes_left=state.recovery_codes_left)


@router.post("", summary="Set up an authenticator app")
async def enrol(
    body: bodies.PasswordBody, principal: Caller, factor: Factor, desk: AtDesk
) -> bodies.EnrolmentView:
    """Return a secret for the app. Nothing is on before `…/confirm` gets a first code. The password is
    needed, or a stolen access token could lock its owner out."""
    user = await desk.again.confirm(person_of(principal), body.password)
    async with desk.database.platform() as tx:
        enrolment = await factor.enrol(tx, user.id, user.email)
    return bodies.EnrolmentView(secret=enrolment.secret, otpauth_uri=enrolment.otpauth_uri)


@router.post("/confirm", summary="Turn the second factor on")
async def confirm(
    body: bodies.CodeBody, principal: Caller, factor: Factor, desk: AtDesk
) -> bodies.RecoveryCodesView:
    """Give a first code of the app. The answer has the recovery codes, this one time."""
    person = person_of(principal)
    knock = Knock(SECOND_FACTOR, str(person.user_id))
    await desk.throttle.admit(knock)
    async with desk.database.platform() as tx:
        codes = await factor.confirm(tx, person.user_id, body.code)
        await desk.throttle.succeeded(tx, [knock])
    return bodies.RecoveryCodesView(recovery_codes=list(codes))


@router.post("/recovery-codes", summary="Make new recovery codes")
async def renew_codes(
    body: bodies.PasswordAndCodeBody,
    principal: Caller,
    factor: Factor,
    desk: AtDesk,
) -> bodies.RecoveryCodesView:
    """Make new recovery codes; the old ones end. Password and code are needed."""
    user = await desk.again.confirm(person_of(principal), body.password)
    knock = Knock(SECOND_FACTOR, str(user.id))
    await desk.throttle.admit(knock)
    async with desk.database.platform() as tx:
        codes = await factor.renew_codes(tx, user.id, body.code)
        await desk.throttle.succeeded(tx, [knock])
    return bodies.RecoveryCodesView(recovery_codes=list(codes))


@router.post("/disable", status_code=204, summary="Turn the second factor off")
async def disable(
    body: bodies.PasswordAndCodeBody,
    principal: Caller,
    factor: Factor,
    desk: AtDesk,
) -> None:
    """Take the second factor away; password and code (or a recovery code) are needed."""
    user = await desk.again.confirm(person_of(principal), body.password)
    knock = Knock(SECOND_FACTOR, str(user.id))
    await desk.throttle.admit(knock)
    async with desk.database.platform() as tx:
        await factor.disable(tx, user.id, body.code)
        await desk.throttle.succeeded(tx, [knock])
