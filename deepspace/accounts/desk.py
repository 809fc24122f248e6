"""What the endpoints of signing in have at hand, in one piece."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from fastapi import Request, Response

from deepspace.accounts.authenticator import Authenticator
from deepspace.accounts.cookies import DEVICE, Cookies
from deepspace.accounts.devices import Devices
from deepspace.accounts.mail import PostOffice
from deepspace.accounts.passwords import Passwords
from deepspace.accounts.person import Reauthentication
from deepspace.accounts.sessions import SessionService, SignedIn, Visit
from deepspace.accounts.sign_in import SignIn
from deepspace.accounts.throttle import Throttle
from deepspace.kit.db import Database
from deepspace.kit.web import client_ip


@dataclass(frozen=True, slots=True)
class Desk:
    """Transactions, hashing, counting, mail, cookies, and the door that caches who is in."""

    database: Database
    doors: Authenticator
    passwords: Passwords
    throttle: Throttle
    sign_in: SignIn
    sessions: SessionService
    again: Reauthentication
    devices: Devices
    cookies: Cookies
    post: PostOffice

    def forget(self, ended: Iterable[UUID]) -> None:
        """Refuse ended sessions at once in this process; the others hear of them from the database."""
        for session_id in ended:
            self.doors.forget_session(session_id)

    def remember(self, request: Request, response: Response, tokens: SignedIn) -> None:
        """Give the browser the refresh token, and a device cookie if it has none for this account."""
        self.cookies.set_refresh(request, response, tokens.refresh_token)
        if self.devices.known(self.cookies.read(request, DEVICE), tokens.user.email) is None:
            self.cookies.set_device(request, response, self.devices.cookie(tokens.user.email))


def visit_of(request: Request) -> Visit:
    """Return where a sign-in comes from."""
    return Visit(request.headers.get("user-agent", ""), client_ip(request))
