"""What is refused before the database is asked."""

from __future__ import annotations

import random
import string
from typing import Any

import pytest

from deepspace.accounts.authenticator import Authenticator
from deepspace.accounts.errors import KeyMalformed
from deepspace.accounts.tokens import TokenService
from deepspace.kit.crypto import KeyRing
from deepspace.kit.errors import Unauthorized
from deepspace.testing.clock import FrozenClock

BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase


class Untouchable:
    """A database that nobody may ask."""

    def tenant(self, *_: Any) -> Any:
        """Fail."""
        raise AssertionError("the database was asked")

    platform = tenant


def authenticator() -> Authenticator:
    """Return an authenticator whose database fails the test if it is touched."""
    ring, clock = KeyRing(b"r" * 32), FrozenClock()
    database: Any = Untouchable()
    return Authenticator(database, TokenService(ring, clock), ring, clock)


async def ask(doors: Authenticator, credential: str) -> None:
    """Come with a credential."""
    await doors.principal(credential, "chat", "127.0.0.1")


async def test_of_random_keys_none_is_accepted_and_none_reaches_the_database() -> None:
    """All have the form of a key: the checksum alone tells. test_keys.py gives the checksum a million more;
    what it refuses comes no further than here."""
    doors = authenticator()
    source = random.Random(20261122)
    pool = "".join(source.choices(BASE62, k=50_050))
    refused = 0
    for n in range(50_000):
        try:
            await ask(doors, f"dsk_live_{pool[n : n + 12]}_{pool[n + 12 : n + 50]}")
        except KeyMalformed:
            refused += 1
    assert refused == 50_000


@pytest.mark.parametrize(
    "text", ["", "x", "a.b.c", "dsk_", "dsk_live_", "Basic eDp4", "\x00", "dsk_test_" + "a" * 51]
)
async def test_nothing_else_reaches_the_database_either(text: str) -> None:
    with pytest.raises(Unauthorized):
        await ask(authenticator(), text)
