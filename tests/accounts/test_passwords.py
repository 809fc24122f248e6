"""Passwords are hashed with argon2id at OWASP's floor or above."""

from __future__ import annotations

from deepspace.accounts.passwords import Passwords


async def test_a_password_fits_its_hash_and_no_other() -> None:
    passwords = Passwords()
    encoded = await passwords.hash("correct horse")
    assert await passwords.verify(encoded, "correct horse")
    assert not await passwords.verify(encoded, "Correct horse")
    assert await passwords.hash("correct horse") != encoded  # salted
    assert encoded.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def test_nobody_has_the_decoys_password() -> None:
    assert not await Passwords().verify(None, "nobody has this password")


async def test_a_hash_that_is_none_fits_nothing() -> None:
    for encoded in ("", "nonsense", "$argon2id$v=19$m=1,t=1,p=1$$"):
        assert not await Passwords().verify(encoded, "x")
