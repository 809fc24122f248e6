"""How often somebody may knock: counters in PostgreSQL, so that all gateway processes count together.

A knock is a try at a password, a code or a registration. It is counted before it is made, and forgotten if it
succeeds; so a hundred guesses sent at once are a hundred, whatever comes of the first. After `free` knocks
each next one waits twice as long as the one before, up to a cap that is short enough for a person to wait
out. Nobody is locked out for good:

- A browser that has signed in carries a device cookie for that account and is counted on its own
  (OWASP, "Slow Down Online Guessing Attacks with Device Cookies"): what strangers try elsewhere does not
  delay it.
- From everywhere else an account under attack waits at most a minute between two knocks.
- A reset by mail forgets what was counted for the account.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from deepspace.accounts.errors import TooManyAttempts
from deepspace.accounts.identity_repository import KnockRepository
from deepspace.kit.crypto import KeyRing, hmac_sha256
from deepspace.kit.db import Database, Transaction


@dataclass(frozen=True, slots=True)
class Rule:
    """So many knocks are free, then waits double from `base_s` to `cap_s` seconds."""

    name: str
    free: int
    base_s: float
    cap_s: float
    forget: timedelta
    """After so long without a knock, counting begins anew."""


PASSWORD_HERE = Rule("password of an account, from one address", 10, 2, 900, timedelta(hours=12))
PASSWORD_ANYWHERE = Rule("password of an account, from everywhere", 50, 1, 60, timedelta(hours=12))
PASSWORD_DEVICE = Rule("password of an account, on a known device", 10, 2, 900, timedelta(hours=12))
PASSWORD_AGAIN = Rule("password of somebody signed in", 10, 2, 900, timedelta(hours=12))
SECOND_FACTOR = Rule("second factor", 5, 2, 900, timedelta(hours=12))
REGISTRATION = Rule("registration from one address", 30, 2, 60, timedelta(hours=1))
INVITATION_MAIL = Rule("invitation to one address", 5, 60, 3600, timedelta(hours=6))
INVITATION_MAILS = Rule("invitations of one organisation", 1000, 1, 60, timedelta(hours=24))
LINK_MAIL = Rule("mail with a link to one address", 3, 60, 3600, timedelta(hours=6))


@dataclass(frozen=True, slots=True)
class Knock:
    """What is tried: under which rule, on what."""

    rule: Rule
    subject: str


class Throttle:
    """Admits knocks, or says how long to wait."""

    def __init__(self, database: Database, ring: KeyRing) -> None:
        """Knocks are counted in short transactions of their own on `database`: what comes of one must not
        undo its being counted."""
        self._database = database
        self._key = ring.key("knocks.1")

    async def admit(self, *knocks: Knock) -> None:
        """Count a knock under each rule; TooManyAttempts, with Retry-After, if one says to wait."""
        # In one order for all, or two racers could wait for each other.
        keyed = sorted(((self._key_of(knock), knock.rule) for knock in knocks), key=lambda one: one[0])
        async with self._database.platform() as tx:
            waits = [await self._claim(KnockRepository(tx), key, rule) for key, rule in keyed]
        longest = max(waits, default=0)
        if longest:
            raise TooManyAttempts(headers={"retry-after": str(longest)})

    async def succeeded(self, tx: Transaction, knocks: Sequence[Knock]) -> None:
        """Forget what was counted."""
        await KnockRepository(tx).clear([self._key_of(knock) for knock in knocks])

    async def _claim(self, repository: KnockRepository, key: bytes, rule: Rule) -> int:
        """Return 0, or the seconds to wait."""
        if await repository.claim(
            key, free=rule.free, base_s=rule.base_s, cap_s=rule.cap_s, forget=rule.forget
        ):
            return 0
        return max(1, await repository.wait_s(key))

    def _key_of(self, knock: Knock) -> bytes:
        return hmac_sha256(self._key, f"{knock.rule.name}\0{knock.subject}".encode())
