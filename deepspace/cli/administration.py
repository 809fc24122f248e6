"""What operators do from the command line, and what the first start does."""

from __future__ import annotations

from deepspace.accounts.passwords import MIN_LENGTH
from deepspace.billing.moves import Authority
from deepspace.kit.errors import ValidationFailed
from deepspace.kit.ids import parse_uuid
from deepspace.kit.money import NotAnAmount, decimal_from_nano, nano
from deepspace.wiring import Platform


def _check_password(password: str) -> None:
    if len(password) < MIN_LENGTH:
        raise ValidationFailed(f"The password needs at least {MIN_LENGTH} characters.")


async def create_user(
    platform: Platform, email: str, name: str, password: str, organization: str | None, *, operator: bool
) -> dict[str, str]:
    """Create a user, with an organisation of their own if named; return the ids."""
    _check_password(password)
    async with platform.database.platform() as tx:
        user_id = await platform.accounts.create_user(
            tx, email=email, name=name, password=password, is_operator=operator
        )
        made = {"user_id": str(user_id)}
        if organization is not None:
            founded = await platform.founding.found(tx, organization, user_id)
            made |= {"organization_id": str(founded.org_id), "project_id": str(founded.project_id)}
    return made


async def reset_password(platform: Platform, email: str, password: str) -> dict[str, str]:
    """Set a user's password."""
    _check_password(password)
    async with platform.database.platform() as tx:
        await platform.accounts.reset_password(tx, email=email, password=password)
    return {"email": email}


async def reset_second_factor(platform: Platform, email: str) -> dict[str, str]:
    """Take a user's second factor away and end their sessions."""
    async with platform.database.platform() as tx:
        await platform.accounts.reset_second_factor(tx, email=email)
    return {"email": email}


async def rotate_channel_keys(platform: Platform) -> dict[str, str]:
    """Seal the channels' credentials by the present key; return how many values that were."""
    async with platform.database.platform() as tx:
        rotated = await platform.rotation.run(tx)
    told = {"resealed": str(rotated.resealed), "current": str(rotated.current)}
    return told | ({"broken": ", ".join(rotated.broken)} if rotated.broken else {})


async def clear_access_rules(platform: Platform, organization_id: str | None) -> dict[str, str]:
    """Remove the operators' rules on addresses, or an organisation's; return how many there were."""
    org_id = parse_uuid(organization_id) if organization_id is not None else None
    if organization_id is not None and org_id is None:
        raise ValidationFailed(f"'{organization_id}' is not an organisation's id.")
    async with platform.database.platform() as tx:
        removed = await platform.policy.rules.remove_address_rules(tx, org_id)
    return {"removed": str(removed)}


async def top_up(platform: Platform, organization_id: str, amount: str, reason: str) -> dict[str, str]:
    """Book a payment and return the balance after it."""
    org_id = parse_uuid(organization_id)
    if org_id is None:
        raise ValidationFailed(f"'{organization_id}' is not an organisation's id.")
    try:
        amount_nano = nano(amount)
    except NotAnAmount as error:
        raise ValidationFailed(f"{error}.") from None
    async with platform.database.platform() as tx:
        wallet = await platform.moves.topup(tx, org_id, amount_nano, Authority(None, reason))
    return {"organization_id": organization_id, "balance": decimal_from_nano(wallet.balance_nano)}
