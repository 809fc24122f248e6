"""The second factor: an authenticator app (TOTP, RFC 6238: SHA-1, six digits, 30 s) and recovery codes.

The secret is sealed at rest. A code works once: the time step it belongs to is kept, and it and all before
it are worthless afterwards. Recovery codes are kept as HMACs and deleted when used.
"""

from __future__ import annotations

import base64
import hmac
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pyotp.totp import TOTP

from deepspace.accounts.errors import SecondFactorInvalid, SecondFactorState
from deepspace.accounts.events import AccountEvents
from deepspace.accounts.identity_repository import SecondFactorRepository
from deepspace.kit.clock import Clock
from deepspace.kit.crypto import KeyRing, Sealer, hmac_sha256
from deepspace.kit.db import Transaction

ISSUER = "DeepSpace"
STEP_S = 30
RECOVERY_CODES = 10
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # nothing that looks like something else
_DRIFT_STEPS = 1


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A secret to put into an authenticator app; it counts once a code of it was given."""

    secret: str
    otpauth_uri: str


@dataclass(frozen=True, slots=True)
class FactorState:
    """Whether a user has a second factor, and how many recovery codes are left."""

    enabled: bool
    recovery_codes_left: int


class SecondFactor:
    """Sets up, checks and takes away the second factor of a user."""

    def __init__(self, ring: KeyRing, clock: Clock, events: AccountEvents) -> None:
        """Derive the keys."""
        self._sealer = Sealer(ring.key("totp-secrets.1"))
        self._code_key = ring.key("recovery-codes.1")
        self._clock = clock
        self._events = events

    async def state(self, tx: Transaction, user_id: UUID) -> FactorState:
        """Return what a user has."""
        repository = SecondFactorRepository(tx, user_id)
        row = await repository.secret()
        enabled = row is not None and row.confirmed_at is not None
        return FactorState(enabled, await repository.codes_left() if enabled else 0)

    async def enrol(self, tx: Transaction, user_id: UUID, email: str) -> Enrolment:
        """Return a new secret to be confirmed; SecondFactorState if there is a confirmed one."""
        secret = base64.b32encode(os.urandom(20)).decode()
        sealed = self._sealer.seal(secret, _place(user_id))
        if not await SecondFactorRepository(tx, user_id).propose(sealed, self._clock.now()):
            raise SecondFactorState("The second factor is on already; turn it off first.")
        return Enrolment(secret, _uri(secret, email))

    async def confirm(self, tx: Transaction, user_id: UUID, code: str) -> Sequence[str]:
        """Turn the second factor on with a first code; return the recovery codes, which are shown once."""
        repository = SecondFactorRepository(tx, user_id)
        row = await repository.secret()
        if row is None or row.confirmed_at is not None:
            raise SecondFactorState("There is no authenticator app to be confirmed.")
        step = self._step_of(row.sealed_secret, user_id, code)
        if step is None or not await repository.use_step(step, self._clock.now()):
            raise SecondFactorInvalid
        await self._events.append(tx, "account.second_factor_enabled", user_id)
        return await self._new_codes(repository)

    async def renew_codes(self, tx: Transaction, user_id: UUID, code: str) -> Sequence[str]:
        """Return new recovery codes in place of the old ones; a valid code of the app is needed."""
        await self.demand(tx, user_id, code)
        await self._events.append(tx, "account.recovery_codes_renewed", user_id)
        return await self._new_codes(SecondFactorRepository(tx, user_id))

    async def disable(self, tx: Transaction, user_id: UUID, code: str) -> None:
        """Take the second factor away; a valid code is needed."""
        await self.demand(tx, user_id, code)
        await SecondFactorRepository(tx, user_id).remove()
        await self._events.append(tx, "account.second_factor_disabled", user_id)

    async def demand(self, tx: Transaction, user_id: UUID, code: str) -> None:
        """Use up a code of the app or a recovery code, or raise SecondFactorInvalid; SecondFactorState if
        the user has no second factor."""
        repository = SecondFactorRepository(tx, user_id)
        row = await repository.secret()
        if row is None or row.confirmed_at is None:
            raise SecondFactorState("The second factor is not on.")
        step = self._step_of(row.sealed_secret, user_id, code)
        if step is not None:
            if not await repository.use_step(step):
                raise SecondFactorInvalid
        elif await repository.use_code(self._code_hmac(user_id, code)):
            await self._events.append(tx, "account.recovery_code_used", user_id)
        else:
            raise SecondFactorInvalid

    def _step_of(self, sealed_secret: bytes, user_id: UUID, code: str) -> int | None:
        """Return the time step a code belongs to: this one or a neighbour, for clocks that differ."""
        digits = code.replace(" ", "")
        generator = TOTP(self._sealer.open(sealed_secret, _place(user_id)), interval=STEP_S)
        now = int(self._clock.now().timestamp()) // STEP_S
        found: int | None = None
        for step in range(now - _DRIFT_STEPS, now + _DRIFT_STEPS + 1):
            if hmac.compare_digest(generator.generate_otp(step).encode(), digits.encode()):
                found = step
        return found

    async def _new_codes(self, repository: SecondFactorRepository) -> Sequence[str]:
        codes = [_recovery_code() for _ in range(RECOVERY_CODES)]
        await repository.replace_codes([self._code_hmac(repository.user_id, code) for code in codes])
        return codes

    def _code_hmac(self, user_id: UUID, code: str) -> bytes:
        plain = code.replace("-", "").replace(" ", "").lower()
        return hmac_sha256(self._code_key, user_id.bytes + plain.encode())


def _uri(secret: str, email: str) -> str:
    """Return the address that authenticator apps read as a QR code (Google's "Key URI Format")."""
    factory: Any = TOTP(secret, name=email, issuer=ISSUER)  # only partly typed
    return factory.provisioning_uri()


def _recovery_code() -> str:
    """Return ten characters, about 49 random bits, in two groups."""
    text = "".join(secrets.choice(_ALPHABET) for _ in range(10))
    return f"{text[:5]}-{text[5:]}"


def _place(user_id: UUID) -> str:
    return f"totp_secrets|sealed_secret|{user_id}"
