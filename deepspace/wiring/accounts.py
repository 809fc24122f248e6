"""Accounts: who is who, and who may do what."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from deepspace.accounts.authenticator import NOTICES, Authenticator
from deepspace.accounts.key_service import KeyService
from deepspace.accounts.passwords import Passwords
from deepspace.accounts.queries import AccountsQueries
from deepspace.accounts.service import AccountsService
from deepspace.accounts.tokens import TokenService
from deepspace.kit.notices import NoticeListener
from deepspace.wiring.core import Core, Provided


@dataclass(frozen=True, slots=True)
class AccountsPart:
    """What other parts need of accounts."""

    authenticator: Authenticator
    service: AccountsService
    keys: KeyService
    notices: NoticeListener
    provided: Provided


def wire_accounts(core: Core) -> AccountsPart:
    """Build the accounts slice."""
    tokens = TokenService(core.ring, core.clock)
    authenticator = Authenticator(core.database, tokens, core.ring, core.clock)
    ttl = timedelta(days=core.settings.session_days)
    service = AccountsService(tokens, Passwords(), core.ring, core.clock, session_ttl=ttl)
    keys = KeyService(core.ring, core.clock)
    return AccountsPart(
        authenticator=authenticator,
        service=service,
        keys=keys,
        notices=NoticeListener(
            core.database_url, NOTICES, authenticator.hear, authenticator.forget_everything
        ),
        provided=(authenticator, service, keys, AccountsQueries(core.settings.currency)),
    )
