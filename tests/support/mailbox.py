"""The outbox of a gateway without a mail server, and people who register there."""

from __future__ import annotations

import email
import email.policy
import re
import secrets
import time
import uuid
from dataclasses import dataclass
from email.message import EmailMessage
from ipaddress import IPv4Address
from pathlib import Path

import httpx2

from tests.support.live import PASSWORD, as_


@dataclass
class Mailbox:
    """Reads the files of an outbox."""

    outbox: Path

    def to(self, address: str) -> list[EmailMessage]:
        """Return the mails to an address, oldest first."""
        found = [
            email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
            for path in sorted(self.outbox.glob("*.eml"))
        ]
        return [message for message in found if message["To"] == address]

    def wait(self, address: str, number: int = 1) -> EmailMessage:
        """Return the mail number `number` to an address, once it is there."""
        for _ in range(100):
            mails = self.to(address)
            if len(mails) >= number:
                return mails[number - 1]
            time.sleep(0.03)
        raise AssertionError(f"no mail {number} to {address}")

    def token(self, address: str, number: int = 1) -> str:
        """Return the token of the link in a mail."""
        found = re.search(r"#token=([\w-]+)", self.wait(address, number).get_content())
        assert found is not None
        return found[1]


@dataclass
class Someone:
    """Somebody who registered."""

    email: str
    token: str
    id: str


def address() -> str:
    """Return an address nobody has."""
    return f"{uuid.uuid4().hex}@example.org"


def somewhere() -> dict[str, str]:
    """Return a header that, from a trusted proxy, makes a request come from an address of its own."""
    return {"x-forwarded-for": str(IPv4Address(0x0A000000 + secrets.randbelow(1 << 24)))}


def register(client: httpx2.Client, **fields: object) -> Someone:
    """Register; the client keeps the cookies."""
    body = {"email": address(), "password": PASSWORD, "name": "Ada", **fields}
    response = client.post("/api/auth/register", json=body, headers=somewhere())
    assert response.status_code == 201, response.text
    return Someone(str(body["email"]), response.json()["access_token"], response.json()["user"]["id"])


def sign_in(client: httpx2.Client, email: str, password: str = PASSWORD) -> httpx2.Response:
    """Try to sign in."""
    return client.post("/api/auth/login", json={"email": email, "password": password})


def problem(response: httpx2.Response, status: int, code: str) -> None:
    """Check a problem."""
    assert (response.status_code, response.json()["code"]) == (status, code), response.text


def me(client: httpx2.Client, token: str) -> httpx2.Response:
    """Ask who a token's holder is."""
    return client.get("/api/me", headers=as_(token))
