"""Sign-in with an OpenID provider: the way there, the way back, and whose account it is."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import msgspec

from deepspace.accounts.errors import OidcRefused
from deepspace.accounts.events import AccountEvents
from deepspace.accounts.identity_repository import OidcIdentityRepository, PersonRepository
from deepspace.accounts.oidc_provider import Identity, OidcProvider
from deepspace.accounts.person import Person
from deepspace.accounts.registration import Newcomer, RegistrationService
from deepspace.accounts.repository import PeopleRepository
from deepspace.accounts.schemas import is_email
from deepspace.kit.clock import Clock
from deepspace.kit.crypto import KeyRing, SealBroken, Sealer
from deepspace.kit.db import Record, Transaction
from deepspace.kit.errors import Conflict, NotFound
from deepspace.kit.ids import parse_uuid, uuid7

WAY_LASTS = timedelta(minutes=10)
_PLACE = "oidc|way"


class Way(msgspec.Struct, frozen=True):
    """What we must remember while somebody is at the provider: kept sealed, in a cookie of their browser."""

    provider: str
    state: str
    nonce: str
    verifier: str
    since: float
    invitation: str | None = None
    link_to: str | None = None
    """The user who connects a provider to the account they have."""
    session: str | None = None
    """The session they began it in: it must not have ended when they come back."""


@dataclass(frozen=True, slots=True)
class Departure:
    """Where to send the browser, and the cookie it takes along."""

    url: str
    cookie: str


class OidcSignIn:
    """Sends people to providers and knows them when they come back."""

    def __init__(
        self,
        providers: Mapping[str, OidcProvider],
        registration: RegistrationService,
        ring: KeyRing,
        clock: Clock,
        events: AccountEvents,
    ) -> None:
        """`providers` by name."""
        self.providers = providers
        self._registration = registration
        self._sealer = Sealer(ring.key("oidc-way.1"))
        self._clock = clock
        self._events = events

    async def depart(
        self, name: str, *, invitation: str | None = None, link_to: Person | None = None
    ) -> Departure:
        """Begin: NotFound for a provider that is not set up, OidcUnavailable if it does not answer."""
        way = Way(
            provider=name,
            state=secrets.token_urlsafe(32),
            nonce=secrets.token_urlsafe(32),
            verifier=secrets.token_urlsafe(48),
            since=self._clock.now().timestamp(),
            invitation=invitation,
            link_to=str(link_to.user_id) if link_to is not None else None,
            session=str(link_to.session_id) if link_to is not None else None,
        )
        url = await self._provider(name).authorization_url(
            state=way.state, nonce=way.nonce, verifier=way.verifier
        )
        sealed = self._sealer.seal(msgspec.json.encode(way).decode(), _PLACE)
        return Departure(url, base64.urlsafe_b64encode(sealed).decode().rstrip("="))

    def way_back(self, name: str, cookie: str | None, state: str | None) -> Way:
        """Return what was remembered, if this browser was sent there by us, not long ago, with this state;
        OidcRefused otherwise."""
        try:
            raw = base64.urlsafe_b64decode((cookie or "") + "=" * (-len(cookie or "") % 4))
            way = msgspec.json.decode(self._sealer.open(raw, _PLACE), type=Way)
        except (binascii.Error, ValueError, SealBroken):
            raise OidcRefused from None
        age_s = self._clock.now().timestamp() - way.since
        same = hmac.compare_digest(way.state.encode(), (state or "").encode())
        if way.provider != name or not same or not 0 <= age_s <= WAY_LASTS.total_seconds():
            raise OidcRefused
        return way

    async def identity(self, way: Way, code: str | None, issuer: str | None) -> Identity:
        """Ask the provider who came back; OidcRefused if they were refused there or anything is wrong."""
        provider = self._provider(way.provider)
        provider.check_answer_issuer(issuer)
        if not code:
            raise OidcRefused
        return await provider.identity(code=code, verifier=way.verifier, nonce=way.nonce)

    async def account(self, tx: Transaction, identity: Identity, invitation: str | None) -> Record:
        """Return the user an identity opens, making an account where registration allows it.

        The link is (issuer, subject). An address links only if the provider says it is verified, the
        operator trusts the provider with that, and it is verified here too: somebody may have registered
        with an address that is not theirs and be waiting for its owner.
        """
        identities, people = OidcIdentityRepository(tx), PersonRepository(tx)
        owner = await identities.owner(
            identity.issuer, identity.subject, self._clock.now(), identity.email or ""
        )
        if owner is not None:
            user = await people.locked(owner)
            if user is None or user.status != "active":
                raise OidcRefused
            return user
        if identity.email is None or not is_email(identity.email):
            raise OidcRefused("The provider tells no e-mail address, which a new account needs.")
        user = await PeopleRepository(tx).user_by_email(identity.email)
        if user is None:
            newcomer = Newcomer(
                identity.email,
                (identity.name or identity.email.partition("@")[0])[:200],
                invitation_token=invitation,
                email_verified=identity.email_verified,
            )
            user = await self._registration.register(tx, newcomer, None)
        elif not self._may_link(identity, user):
            raise OidcRefused(
                "There is an account with this address. Sign in to it and connect the provider there."
            )
        await self.link(tx, identity, user.id)
        return user

    async def connect(self, tx: Transaction, identity: Identity, way: Way) -> None:
        """Link an identity to the account its owner left from. OidcRefused if their session has ended since:
        what somebody began who knew an old password must not be finished after it was changed."""
        session_id, user_id = parse_uuid(way.session or ""), parse_uuid(way.link_to or "")
        session = await PeopleRepository(tx).session(session_id, lock=True) if session_id else None
        if user_id is None or session is None or session.user_id != user_id or session.revoked_at is not None:
            raise OidcRefused
        await self.link(tx, identity, user_id)

    async def link(self, tx: Transaction, identity: Identity, user_id: UUID) -> None:
        """Let an identity open a user's account from now on; OidcRefused if it opens another one."""
        now = self._clock.now()
        identities = OidcIdentityRepository(tx)
        added = await identities.add(
            id=uuid7(),
            user_id=user_id,
            provider=identity.provider,
            issuer=identity.issuer,
            subject=identity.subject,
            email=identity.email or "",
            created_at=now,
            last_used_at=now,
        )
        if added:
            await self._events.append(
                tx, "account.provider_connected", user_id, {"provider": identity.provider}
            )
        elif await identities.owner(identity.issuer, identity.subject, now, identity.email or "") != user_id:
            raise OidcRefused("This identity belongs to another account.")

    async def of_user(self, tx: Transaction, user_id: UUID) -> Sequence[Record]:
        """Return a user's identities, oldest first."""
        return await OidcIdentityRepository(tx).of_user(user_id)

    async def unlink(self, tx: Transaction, user: Record, identity_id: UUID) -> None:
        """Let an identity open the account no more. NotFound if it is none of the user's; Conflict if the
        account would then have no way in."""
        identities = OidcIdentityRepository(tx)
        if not await identities.remove(user.id, identity_id):
            raise NotFound
        if user.password_hash is None and not await identities.of_user(user.id):
            raise Conflict("This is the only way into your account; set a password first.")
        await self._events.append(tx, "account.provider_disconnected", user.id)

    async def close(self) -> None:
        """Close connections."""
        for provider in self.providers.values():
            await provider.close()

    def _may_link(self, identity: Identity, user: Record) -> bool:
        trusted = self._provider(identity.provider).config.link_by_email
        return (
            trusted
            and identity.email_verified
            and user.email_verified_at is not None
            and user.status == "active"
        )

    def _provider(self, name: str) -> OidcProvider:
        provider = self.providers.get(name)
        if provider is None:
            raise NotFound("There is no such sign-in provider here.")
        return provider
