"""The text of an API key.

`dsk_live_<id>_<secret><checksum>`: a public id of 12 and a secret of 32 base62 characters, then the CRC-32
of all before it as 6 base62 characters (the scheme of GitHub's tokens: github.blog, 2021-04-05). The
checksum lets a scanner, and this server, tell a real key from a random string without a database.
"""

from __future__ import annotations

import re
import secrets
import zlib
from dataclasses import dataclass

from deepspace.accounts.errors import KeyMalformed
from deepspace.kit.crypto import hmac_sha256

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PREFIX = "dsk_live_"
_PATTERN = re.compile(r"\Adsk_live_([0-9A-Za-z]{12})_([0-9A-Za-z]{32})([0-9A-Za-z]{6})\Z")


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made; `text` is shown once and then forgotten."""

    text: str
    key_id: str
    hint: str


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _checksum(body: str) -> str:
    value = zlib.crc32(body.encode())
    digits = ""
    for _ in range(6):
        value, remainder = divmod(value, 62)
        digits = _ALPHABET[remainder] + digits
    return digits


def make_key() -> NewKey:
    """Return a new key with about 190 bits of randomness in its secret part."""
    key_id = _random(12)
    body = f"{_PREFIX}{key_id}_{_random(32)}"
    text = body + _checksum(body)
    return NewKey(text, key_id, f"{_PREFIX}{key_id}_…{text[-4:]}")


def looks_like_key(text: str) -> bool:
    """Tell whether `text` claims to be an API key (as opposed to an access token)."""
    return text.startswith("dsk_")


def key_id_of(text: str) -> str:
    """Return the public id inside a key, or raise KeyMalformed: form or checksum do not fit."""
    match = _PATTERN.match(text)
    if match is None or _checksum(text[:-6]) != match[3]:
        raise KeyMalformed
    return match[1]


def key_hmac(pepper: bytes, text: str) -> bytes:
    """Return what is stored of a key: HMAC-SHA256 of its whole text."""
    return hmac_sha256(pepper, text.encode())
