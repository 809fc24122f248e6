"""Passwords are hashed with argon2id at OWASP's floor or above."""

from __future__ import annotations

import asyncio

from argon2 import PasswordHasher

from deepspace.accounts.passwords import Passwords
from deepspace.kit.errors import Overloaded


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


async def test_a_storm_is_refused_and_not_queued() -> None:
    passwords = Passwords(parallel=1, max_waiting=3)
    answers = await asyncio.gather(
        *(passwords.verify(None, "whatever") for _ in range(20)), return_exceptions=True
    )
    refused = [answer for answer in answers if isinstance(answer, Overloaded)]
    assert len(refused) == 16  # one at work, three waiting
    assert all(error.status == 503 and error.headers["retry-after"] for error in refused)
    assert [answer for answer in answers if not isinstance(answer, Overloaded)] == [False] * 4
    assert await passwords.verify(None, "whatever") is False  # and the next one has its turn again


async def test_a_waiter_that_leaves_gives_its_place_back() -> None:
    passwords = Passwords(parallel=1, max_waiting=2)
    waiting = [asyncio.create_task(passwords.hash("a password")) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[1].cancel()
    waiting[2].cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    for _ in range(3):
        assert (await passwords.hash("another")).startswith("$argon2id$")


async def test_a_hash_of_weaker_parameters_is_outdated() -> None:
    passwords = Passwords()
    weak = PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1).hash("x")
    assert passwords.is_outdated(weak)
    assert not passwords.is_outdated(await passwords.hash("x"))
