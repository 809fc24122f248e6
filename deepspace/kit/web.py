"""What endpoints share: the things the wiring provides, the trace id, the caller's address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from fastapi import Depends, Request

Thing = TypeVar("Thing")


def provided(kind: type[Thing]) -> Any:
    """Return a dependency that hands in the object of class `kind` that wiring put on the application.

    Use: `service: Annotated[BillingService, provided(BillingService)]`.
    """

    async def hand_in(request: Request) -> Thing:  # a plain function would run in a thread, each time
        things: Mapping[type[Any], Any] = request.app.state.provided
        return things[kind]

    hand_in.__name__ = f"provided_{kind.__name__}"
    return Depends(hand_in)


def bearer(authorization: str | None) -> str | None:
    """Return the credential of an `Authorization: Bearer` header (RFC 6750), or None."""
    scheme, _, credential = (authorization or "").partition(" ")
    return credential.strip() if scheme.lower() == "bearer" else None


def client_ip(request: Request) -> str:
    """Return the client's address as the gateway found it; see kit/client_address.py."""
    return request.scope["state"]["client_ip"]
