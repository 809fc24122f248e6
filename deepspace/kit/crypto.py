"""Key derivation and sealing of secrets at rest.

One root secret (DEEPSPACE_SECRET_KEY) gives every purpose a key of its own by HKDF-SHA256 (RFC 5869), so a
key used to sign sessions can never open a sealed credential.
"""

from __future__ import annotations

import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_VERSION = b"\x01"
_NONCE_BYTES = 12


class SealBroken(Exception):
    """A sealed value does not open: wrong key, wrong place, or changed bytes."""


class KeyRing:
    """Purpose-bound keys derived from the root secret."""

    def __init__(self, root_secret: bytes) -> None:
        """Take the root secret; at least 32 bytes, or ValueError."""
        if len(root_secret) < 32:
            raise ValueError("the secret key needs at least 32 bytes")
        self._root = root_secret

    def key(self, purpose: str) -> bytes:
        """Return the 32-byte key for `purpose`; the same purpose gives the same key."""
        derivation = HKDF(hashes.SHA256(), 32, salt=b"deepspace.v1", info=purpose.encode())
        return derivation.derive(self._root)


class Sealer:
    """AES-256-GCM with the place bound as associated data: a blob moved to another row does not open."""

    def __init__(self, key: bytes) -> None:
        """Take a 32-byte key."""
        self._cipher = AESGCM(key)

    def seal(self, secret: str, place: str) -> bytes:
        """Encrypt `secret` for `place` (table|column|row): version byte, nonce, ciphertext with tag."""
        nonce = os.urandom(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher.encrypt(nonce, secret.encode(), place.encode())

    def open(self, blob: bytes, place: str) -> str:
        """Decrypt what `seal` made for the same place, or raise SealBroken."""
        nonce, body = blob[1 : 1 + _NONCE_BYTES], blob[1 + _NONCE_BYTES :]
        try:
            if blob[:1] != _VERSION:
                raise SealBroken("unknown seal version")
            return self._cipher.decrypt(nonce, body, place.encode()).decode()
        except (InvalidTag, ValueError) as error:
            raise SealBroken("the sealed value does not open with this key") from error


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    """Return HMAC-SHA256 (RFC 2104) of `message`."""
    return hmac.digest(key, message, hashlib.sha256)
