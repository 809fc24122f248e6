"""Device cookies: a browser that signed in before is counted on its own when a password is tried.

The cookie is `nonce | HMAC(nonce, account)`. It opens nothing; it only says that somebody once knew the
password of this account here (OWASP, "Slow Down Online Guessing Attacks with Device Cookies").
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
from datetime import timedelta

from deepspace.kit.crypto import KeyRing, hmac_sha256

LIFETIME = timedelta(days=180)
_NONCE_BYTES = 16


class Devices:
    """Makes and reads device cookies."""

    def __init__(self, ring: KeyRing) -> None:
        """Derive the key."""
        self._key = ring.key("device-cookie.1")

    def cookie(self, email: str) -> str:
        """Return a new cookie for a browser in which this account has signed in."""
        nonce = os.urandom(_NONCE_BYTES)
        return base64.urlsafe_b64encode(nonce + self._mac(nonce, email)).decode().rstrip("=")

    def known(self, cookie: str | None, email: str) -> str | None:
        """Return the name of the device if the cookie is one of ours for this account, or None."""
        try:
            raw = base64.urlsafe_b64decode((cookie or "") + "=" * (-len(cookie or "") % 4))
        except (binascii.Error, ValueError):
            return None
        nonce, mac = raw[:_NONCE_BYTES], raw[_NONCE_BYTES:]
        return nonce.hex() if hmac.compare_digest(mac, self._mac(nonce, email)) else None

    def _mac(self, nonce: bytes, email: str) -> bytes:
        return hmac_sha256(self._key, nonce + email.lower().encode())
