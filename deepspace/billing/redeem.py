"""Redeem codes: made in lots, shown once, stored as HMACs."""

from __future__ import annotations

import secrets

from deepspace.kit.crypto import hmac_sha256

# Crockford's base 32: no letter looks like a digit (I, L, O and U are missing).
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_GROUPS, _GROUP_LENGTH = 4, 5


def new_code() -> str:
    """Return a code of 100 random bits: `K7M2P-…`, four groups of five."""
    groups = ("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP_LENGTH)) for _ in range(_GROUPS))
    return "-".join(groups)


def code_hmac(key: bytes, code: str) -> bytes:
    """Return what is stored of a code; case, spaces and dashes do not matter."""
    plain = "".join(character for character in code.upper() if character in _ALPHABET)
    return hmac_sha256(key, plain.encode())
