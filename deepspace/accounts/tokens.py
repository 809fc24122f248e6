"""Session tokens: a 10-minute access JWT (RFC 9068) and a rotating refresh token.

The refresh token is `session id | generation | HMAC`: the database keeps only the generation that is good. An
older generation with a true HMAC has been used before, so somebody holds a copy: the session is revoked.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from deepspace.accounts.errors import SessionExpired
from deepspace.kit.clock import Clock
from deepspace.kit.crypto import KeyRing, hmac_sha256
from deepspace.kit.errors import Unauthorized

ACCESS_TTL = timedelta(minutes=10)
_ISSUER = "deepspace"
_AUDIENCE = "deepspace-api"
_ALGORITHM = "HS256"
_TYPE = "at+jwt"
_LEEWAY_S = 5


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """What an access token says, verified."""

    user_id: UUID
    session_id: UUID


class TokenService:
    """Makes and checks both kinds of token."""

    def __init__(self, ring: KeyRing, clock: Clock) -> None:
        """Derive the signing keys; each purpose has its own."""
        self._access_key = OctKey.import_key(ring.key("access-token.1"), {"kid": "1"})
        self._refresh_key = ring.key("refresh-token.1")
        self._clock = clock

    def access_token(self, user_id: UUID, session_id: UUID) -> str:
        """Return a signed access token that ends after ACCESS_TTL."""
        now = self._clock.now()
        header = {"alg": _ALGORITHM, "typ": _TYPE, "kid": "1"}
        claims = {
            "iss": _ISSUER,
            "aud": _AUDIENCE,
            "sub": str(user_id),
            "sid": str(session_id),
            "iat": int(now.timestamp()),
            "exp": int((now + ACCESS_TTL).timestamp()),
        }
        return jwt.encode(header, claims, self._access_key, algorithms=[_ALGORITHM])

    def read_access_token(self, text: str) -> AccessClaims:
        """Verify signature, type, issuer, audience and times; raise Unauthorized if anything is off."""
        try:
            token = jwt.decode(text, self._access_key, algorithms=[_ALGORITHM])
            header, claims = token.header, token.claims
            if set(header) != {"alg", "typ", "kid"} or header["typ"] != _TYPE or header["kid"] != "1":
                raise Unauthorized("The access token is of the wrong kind.")
            if claims["iss"] != _ISSUER or claims["aud"] != _AUDIENCE:
                raise Unauthorized("The access token was made for somebody else.")
            now = self._clock.now().timestamp()
            if not (int(claims["iat"]) - _LEEWAY_S <= now < int(claims["exp"])):
                raise SessionExpired("The access token has expired; refresh it.")
            return AccessClaims(UUID(claims["sub"]), UUID(claims["sid"]))
        except (JoseError, KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise Unauthorized("The access token is not valid.") from error

    def refresh_token(self, session_id: UUID, generation: int) -> str:
        """Return the refresh token of a session's generation."""
        body = session_id.bytes + generation.to_bytes(4, "big")
        return base64.urlsafe_b64encode(body + hmac_sha256(self._refresh_key, body)).decode().rstrip("=")

    def read_refresh_token(self, text: str) -> tuple[UUID, int]:
        """Return (session id, generation), or raise SessionExpired if the token is not one of ours."""
        try:
            raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except (binascii.Error, ValueError):
            raise SessionExpired from None
        body, mac = raw[:20], raw[20:]
        if len(raw) != 52 or not hmac.compare_digest(mac, hmac_sha256(self._refresh_key, body)):
            raise SessionExpired
        return UUID(bytes=body[:16]), int.from_bytes(body[16:], "big")


def refresh_expiry(now: datetime, ttl: timedelta) -> datetime:
    """Return when a session ends that is used now."""
    return now + ttl
