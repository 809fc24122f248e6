"""Tokens that are good once: links in mails, and the step between the two factors of a sign-in.

256 random bits, so a plain SHA-256 is kept: there is nothing to guess. A new token of a purpose ends the
ones before it.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from datetime import timedelta
from typing import Literal
from uuid import UUID

from deepspace.accounts.errors import LinkInvalid
from deepspace.accounts.identity_repository import OneTimeTokenRepository
from deepspace.kit.clock import Clock
from deepspace.kit.db import Record, Transaction
from deepspace.kit.ids import uuid7

Purpose = Literal["verify_email", "change_email", "reset_password", "second_factor"]

LIFETIME: dict[Purpose, timedelta] = {
    "verify_email": timedelta(days=3),
    "change_email": timedelta(hours=1),
    "reset_password": timedelta(minutes=30),
    "second_factor": timedelta(minutes=5),
}


class OneTimeTokens:
    """Issues and takes back tokens."""

    def __init__(self, clock: Clock) -> None:
        """Times come from `clock`."""
        self._clock = clock

    async def issue(self, tx: Transaction, user_id: UUID, purpose: Purpose, *, email: str = "") -> str:
        """Return a new token; earlier ones of this purpose end. `email` is the address it is about."""
        repository = OneTimeTokenRepository(tx)
        if purpose != "second_factor":  # two browsers may be between the factors at the same time
            await repository.drop(user_id, [purpose])
        token = secrets.token_urlsafe(32)
        now = self._clock.now()
        await repository.add(
            id=uuid7(),
            user_id=user_id,
            purpose=purpose,
            token_hash=_hash(token),
            email=email,
            created_at=now,
            expires_at=now + LIFETIME[purpose],
        )
        return token

    async def find(self, tx: Transaction, purpose: Purpose, token: str) -> Record:
        """Return the row of a token without using it up; LinkInvalid if it is not good (any more)."""
        row = await OneTimeTokenRepository(tx).find(_hash(token), [purpose], self._clock.now())
        if row is None:
            raise LinkInvalid
        return row

    async def redeem(self, tx: Transaction, token: str, *purposes: Purpose) -> Record:
        """Use a token up and return (user_id, purpose, email); LinkInvalid if it is not good (any more)."""
        row = await OneTimeTokenRepository(tx).take(_hash(token), purposes, self._clock.now())
        if row is None:
            raise LinkInvalid
        return row

    async def drop(self, tx: Transaction, user_id: UUID, purposes: Collection[Purpose]) -> None:
        """End a user's tokens of these purposes."""
        await OneTimeTokenRepository(tx).drop(user_id, purposes)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
