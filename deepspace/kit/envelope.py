"""Envelope encryption of secrets at rest, with keys that can be changed.

Every value has a data key of its own, by which it is sealed with AES-256-GCM; the data key is wrapped, with
AES-256-GCM too, by a key-encryption key whose id stands in the value. So several keys can be in use at a
time. Both layers bind the place of the value: moved elsewhere it does not open.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from deepspace.kit.crypto import SealBroken, Sealer, hmac_sha256

_VERSION = b"\x02"
_ID_BYTES, _NONCE_BYTES, _KEY_BYTES, _TAG_BYTES = 8, 12, 32, 16
_WRAPPED_AT = 1 + _ID_BYTES
_SEALED_AT = _WRAPPED_AT + _NONCE_BYTES + _KEY_BYTES + _TAG_BYTES


def key_id(key: bytes) -> bytes:
    """Return the eight bytes that name a key-encryption key and tell nothing of it."""
    return hmac_sha256(key, b"deepspace key id")[:_ID_BYTES]


class EnvelopeSealer(Sealer):
    """Seals with the first of its keys; opens what any of them has sealed, and what plain Sealers have."""

    def __init__(self, keys: Sequence[bytes], plain: Sequence[Sealer] = ()) -> None:
        """`keys` are 32-byte key-encryption keys, the one to seal with first; `plain` open older values, of
        before there were key ids."""
        super().__init__(keys[0])
        self._keys = {key_id(key): AESGCM(key) for key in reversed(keys)}
        self._current = key_id(keys[0])
        self._plain = tuple(plain)

    @property
    def current_key(self) -> str:
        """The id of the key that seals, in hexadecimal."""
        return self._current.hex()

    def is_current(self, blob: bytes) -> bool:
        """Tell whether a value is sealed by the present key."""
        return blob[:_WRAPPED_AT] == _VERSION + self._current

    def seal(self, secret: str, place: str) -> bytes:
        """Encrypt `secret` for `place`: version, key id, nonce, wrapped data key, nonce, ciphertext."""
        data_key = AESGCM.generate_key(bit_length=8 * _KEY_BYTES)
        head, bound = _VERSION + self._current, place.encode()
        around, within = os.urandom(_NONCE_BYTES), os.urandom(_NONCE_BYTES)
        wrapped = self._keys[self._current].encrypt(around, data_key, head + bound)
        return head + around + wrapped + within + AESGCM(data_key).encrypt(within, secret.encode(), bound)

    def open(self, blob: bytes, place: str) -> str:
        """Decrypt what was sealed for the same place, or raise SealBroken."""
        if blob[:1] != _VERSION:
            return self._open_plain(blob, place)
        key = self._keys.get(blob[1:_WRAPPED_AT])
        if key is None:
            raise SealBroken(f"the value is sealed by the key {blob[1:_WRAPPED_AT].hex()}, which is not here")
        around, wrapped = blob[_WRAPPED_AT:][:_NONCE_BYTES], blob[_WRAPPED_AT + _NONCE_BYTES : _SEALED_AT]
        within, sealed = blob[_SEALED_AT:][:_NONCE_BYTES], blob[_SEALED_AT + _NONCE_BYTES :]
        try:
            data_key = key.decrypt(around, wrapped, blob[:_WRAPPED_AT] + place.encode())
            return AESGCM(data_key).decrypt(within, sealed, place.encode()).decode()
        except (InvalidTag, ValueError) as error:
            raise SealBroken("the sealed value does not open in this place") from error

    def _open_plain(self, blob: bytes, place: str) -> str:
        for sealer in self._plain:
            try:
                return sealer.open(blob, place)
            except SealBroken:
                continue
        raise SealBroken("the sealed value does not open with any key here")
