"""Accounts: who is who, and who may do what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deepspace.accounts.authenticator import NOTICES, Authenticator
from deepspace.accounts.founding import Founding
from deepspace.accounts.invitation_mail import InvitationMail
from deepspace.accounts.key_service import KeyService
from deepspace.accounts.org_parts import OrgPart
from deepspace.accounts.passwords import Passwords
from deepspace.accounts.queries import AccountsQueries
from deepspace.accounts.service import AccountsService
from deepspace.accounts.tokens import TokenService
from deepspace.audit.account_events import AuditedAccountEvents, AuditedOrganizationEvents
from deepspace.kit.notices import NoticeListener
from deepspace.wiring.core import Core, Provided
from deepspace.wiring.identity import IdentityPart, Neighbours, wire_identity
from deepspace.wiring.organizations import wire_organizations


@dataclass(frozen=True, slots=True)
class AccountsPart:
    """What other parts need of accounts."""

    authenticator: Authenticator
    service: AccountsService
    founding: Founding
    keys: KeyService
    identity: IdentityPart
    notices: NoticeListener
    provided: Provided


def wire_accounts(core: Core, parts: Sequence[OrgPart]) -> AccountsPart:
    """Build the accounts slice; `parts` are what other slices keep for every organisation."""
    tokens = TokenService(core.ring, core.clock)
    authenticator = Authenticator(core.database, tokens, core.ring, core.clock)
    passwords = Passwords()
    service = AccountsService(passwords, core.clock, AuditedAccountEvents())
    keys = KeyService(core.ring, core.clock, AuditedOrganizationEvents())
    orgs = wire_organizations(core, parts)
    near = Neighbours(tokens, authenticator, passwords, orgs.invitations, orgs.founding, orgs.deletion)
    identity = wire_identity(core, near)
    return AccountsPart(
        authenticator=authenticator,
        service=service,
        founding=orgs.founding,
        keys=keys,
        identity=identity,
        notices=NoticeListener(
            core.database_url, NOTICES, authenticator.hear, authenticator.forget_everything
        ),
        provided=(
            authenticator,
            service,
            keys,
            AccountsQueries(core.settings.currency),
            *identity.provided,
            *orgs.provided,
            InvitationMail(identity.post, core.public_url),
        ),
    )
