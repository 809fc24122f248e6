"""Every SQL statement of signing in: knocks, one-time tokens, second factors, identities at providers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import and_, delete, func, insert, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError

from deepspace.accounts.identity_models import (
    Knocks,
    OidcIdentity,
    OneTimeToken,
    RecoveryCode,
    TotpSecret,
)
from deepspace.accounts.models import ApiKey, Org, OrgMember, Session, User
from deepspace.kit.db import Record, Transaction

# clock_timestamp() and not a time the caller brings: who waited for the row's lock must see a later time than
# the one it was written with, or racers would find themselves too early.
_CLAIM = text(
    """
    INSERT INTO knocks AS a (key, count, last_at, wait_until)
    VALUES (:key, 1, clock_timestamp(), now())
    ON CONFLICT (key) DO UPDATE SET
        count = CASE WHEN a.last_at < clock_timestamp() - :forget THEN 1 ELSE a.count + 1 END,
        last_at = clock_timestamp(),
        wait_until = CASE
            WHEN a.last_at < clock_timestamp() - :forget OR a.count + 1 < :free THEN now()
            ELSE clock_timestamp() + make_interval(secs => LEAST(
                CAST(:cap_s AS float8),
                CAST(:base_s AS float8) * 2.0 ^ LEAST(a.count + 1 - CAST(:free AS integer), 30)
            ))
        END
    WHERE a.wait_until <= clock_timestamp()
    RETURNING count
    """
)

_WAIT = text(
    "SELECT ceil(extract(epoch FROM wait_until - clock_timestamp()))::integer FROM knocks WHERE key = :key"
)


class KnockRepository:
    """Counters of knocks."""

    def __init__(self, tx: Transaction) -> None:
        """Run on the caller's transaction."""
        self._tx = tx

    async def claim(self, key: bytes, *, free: int, base_s: float, cap_s: float, forget: timedelta) -> bool:
        """Count a knock and set how long the next one waits; False, and nothing counted, if it must
        still wait. One statement, so racers on several gateways are counted one by one."""
        values = {"key": key, "free": free, "base_s": base_s, "cap_s": cap_s, "forget": forget}
        return (await self._tx.execute(_CLAIM, values)).first() is not None

    async def wait_s(self, key: bytes) -> int:
        """Return for how many seconds the next knock must wait."""
        return (await self._tx.execute(_WAIT, {"key": key})).scalar_one_or_none() or 0

    async def clear(self, keys: Collection[bytes]) -> None:
        """Forget what was counted under these keys."""
        await self._tx.execute(delete(Knocks).where(Knocks.key.in_(keys)))


class OneTimeTokenRepository:
    """Tokens that are good once. Rows of used ones are deleted."""

    def __init__(self, tx: Transaction) -> None:
        """Run on the caller's transaction."""
        self._tx = tx

    async def add(self, **values: Any) -> None:
        """Insert a token."""
        await self._tx.execute(insert(OneTimeToken).values(**values))

    async def find(self, token_hash: bytes, purposes: Collection[str], now: datetime) -> Record | None:
        """Return a token that is still good."""
        query = select(OneTimeToken.__table__).where(_good(token_hash, purposes, now))
        return (await self._tx.execute(query)).one_or_none()

    async def take(self, token_hash: bytes, purposes: Collection[str], now: datetime) -> Record | None:
        """Return a token that is still good, and use it up; of two who try, one gets it."""
        query = delete(OneTimeToken).where(_good(token_hash, purposes, now))
        returning = query.returning(OneTimeToken.user_id, OneTimeToken.purpose, OneTimeToken.email)
        return (await self._tx.execute(returning)).one_or_none()

    async def drop(self, user_id: UUID, purposes: Collection[str]) -> None:
        """Make a user's tokens worthless."""
        where = and_(OneTimeToken.user_id == user_id, OneTimeToken.purpose.in_(purposes))
        await self._tx.execute(delete(OneTimeToken).where(where))


def _good(token_hash: bytes, purposes: Collection[str], now: datetime) -> Any:
    return and_(
        OneTimeToken.token_hash == token_hash,
        OneTimeToken.purpose.in_(purposes),
        OneTimeToken.expires_at > now,
    )


class SecondFactorRepository:
    """Authenticator apps and recovery codes of one user."""

    def __init__(self, tx: Transaction, user_id: UUID) -> None:
        """Run on the caller's transaction, for one user."""
        self._tx = tx
        self.user_id = user_id

    async def secret(self) -> Record | None:
        """Return the secret, confirmed or not."""
        query = select(TotpSecret.__table__).where(TotpSecret.user_id == self.user_id)
        return (await self._tx.execute(query)).one_or_none()

    async def propose(self, sealed_secret: bytes, now: datetime) -> bool:
        """Keep a secret to be confirmed, in place of an earlier one; False if one is confirmed already."""
        query = upsert(TotpSecret).values(user_id=self.user_id, sealed_secret=sealed_secret, created_at=now)
        query = query.on_conflict_do_update(
            index_elements=[TotpSecret.user_id],
            set_={"sealed_secret": sealed_secret, "created_at": now, "last_step": 0},
            where=TotpSecret.confirmed_at.is_(None),
        ).returning(TotpSecret.user_id)
        return (await self._tx.execute(query)).first() is not None

    async def use_step(self, step: int, confirmed_at: datetime | None = None) -> bool:
        """Use up a time step; False if it, or a later one, was used before."""
        values: dict[str, Any] = {"last_step": step}
        if confirmed_at is not None:
            values["confirmed_at"] = confirmed_at
        where = and_(TotpSecret.user_id == self.user_id, TotpSecret.last_step < step)
        query = update(TotpSecret).where(where).values(**values).returning(TotpSecret.user_id)
        return (await self._tx.execute(query)).first() is not None

    async def replace_codes(self, hmacs: Sequence[bytes]) -> None:
        """Make these the recovery codes."""
        await self._tx.execute(delete(RecoveryCode).where(RecoveryCode.user_id == self.user_id))
        if hmacs:
            rows = [{"user_id": self.user_id, "code_hmac": code} for code in hmacs]
            await self._tx.execute(insert(RecoveryCode), rows)

    async def use_code(self, code_hmac: bytes) -> bool:
        """Use up a recovery code; False if there is no such code."""
        where = and_(RecoveryCode.user_id == self.user_id, RecoveryCode.code_hmac == code_hmac)
        query = delete(RecoveryCode).where(where).returning(RecoveryCode.user_id)
        return (await self._tx.execute(query)).first() is not None

    async def codes_left(self) -> int:
        """Return how many recovery codes are left."""
        query = select(func.count()).where(RecoveryCode.user_id == self.user_id)
        return (await self._tx.execute(query)).scalar_one()

    async def remove(self) -> None:
        """Forget secret and codes."""
        await self._tx.execute(delete(RecoveryCode).where(RecoveryCode.user_id == self.user_id))
        await self._tx.execute(delete(TotpSecret).where(TotpSecret.user_id == self.user_id))


class OidcIdentityRepository:
    """Which user an account at a provider belongs to."""

    def __init__(self, tx: Transaction) -> None:
        """Run on the caller's transaction."""
        self._tx = tx

    async def owner(self, issuer: str, subject: str, now: datetime, email: str) -> UUID | None:
        """Return the user of an identity, and note that it was used."""
        where = and_(OidcIdentity.issuer == issuer, OidcIdentity.subject == subject)
        query = update(OidcIdentity).where(where).values(last_used_at=now, email=email)
        return (await self._tx.execute(query.returning(OidcIdentity.user_id))).scalar_one_or_none()

    async def add(self, **values: Any) -> bool:
        """Insert an identity; False if it belongs to somebody already."""
        query = upsert(OidcIdentity).values(**values)
        query = query.on_conflict_do_nothing(index_elements=[OidcIdentity.issuer, OidcIdentity.subject])
        return (await self._tx.execute(query.returning(OidcIdentity.id))).first() is not None

    async def of_user(self, user_id: UUID) -> Sequence[Record]:
        """Return a user's identities, oldest first."""
        query = select(OidcIdentity.__table__).where(OidcIdentity.user_id == user_id)
        return (await self._tx.execute(query.order_by(OidcIdentity.created_at, OidcIdentity.id))).all()

    async def remove(self, user_id: UUID, identity_id: UUID) -> bool:
        """Delete an identity of a user; False if it is none of theirs."""
        where = and_(OidcIdentity.user_id == user_id, OidcIdentity.id == identity_id)
        query = delete(OidcIdentity).where(where).returning(OidcIdentity.id)
        return (await self._tx.execute(query)).first() is not None


class PersonRepository:
    """A person's own row, sessions and belongings."""

    def __init__(self, tx: Transaction) -> None:
        """Run on the caller's transaction."""
        self._tx = tx

    async def locked(self, user_id: UUID) -> Record | None:
        """Return a user and hold the row until the transaction ends."""
        query = select(User.__table__).where(User.id == user_id).with_for_update()
        return (await self._tx.execute(query)).one_or_none()

    async def add(self, **values: Any) -> bool:
        """Insert a user; False if the address is taken, also by somebody who registers at this moment."""
        query = upsert(User).values(**values).on_conflict_do_nothing().returning(User.id)
        return (await self._tx.execute(query)).first() is not None

    async def update(self, user_id: UUID, **values: Any) -> None:
        """Change columns of a user."""
        await self._tx.execute(update(User).where(User.id == user_id).values(**values))

    async def verify_email(self, user_id: UUID) -> None:
        """Note that the address is the user's; the first time counts."""
        where = and_(User.id == user_id, User.email_verified_at.is_(None))
        await self._tx.execute(update(User).where(where).values(email_verified_at=func.now()))

    async def change_email(self, user_id: UUID, email: str) -> bool:
        """Give a user a verified address; False if it is somebody else's, also of somebody who takes it at
        this moment."""
        values = {"email": email, "email_verified_at": func.now()}
        try:
            async with self._tx.begin_nested():
                await self._tx.execute(update(User).where(User.id == user_id).values(**values))
        except IntegrityError:
            return False
        return True

    async def sessions(self, user_id: UUID, now: datetime) -> Sequence[Record]:
        """Return the sign-ins that have not ended, the one used last first."""
        where = and_(Session.user_id == user_id, Session.revoked_at.is_(None), Session.expires_at > now)
        order = (Session.refreshed_at.desc(), Session.id.desc())
        return (await self._tx.execute(select(Session.__table__).where(where).order_by(*order))).all()

    async def end_sessions(
        self, user_id: UUID, now: datetime, reason: str, *, only: UUID | None = None, keep: UUID | None = None
    ) -> Sequence[UUID]:
        """End a user's sessions (all, `only` one, all but the one to `keep`); return the ids of those that
        ended now."""
        where = and_(Session.user_id == user_id, Session.revoked_at.is_(None))
        if only is not None:
            where = and_(where, Session.id == only)
        if keep is not None:
            where = and_(where, Session.id != keep)
        query = update(Session).where(where).values(revoked_at=now, revoked_reason=reason)
        return (await self._tx.execute(query.returning(Session.id))).scalars().all()

    async def lock_organizations(self, user_id: UUID) -> None:
        """Let others wait who change anything in an organisation of this user: in one order, and before any
        row of a member, because whoever changes an organisation begins with its row too."""
        mine = select(OrgMember.org_id).where(OrgMember.user_id == user_id)
        locked = select(Org.id).where(Org.id.in_(mine)).order_by(Org.id).with_for_update(key_share=True)
        await self._tx.execute(locked)

    async def standing(self, user_id: UUID) -> Sequence[Record]:
        """Return (id, name, role, members, owners) of every organisation of a user."""
        mine = select(OrgMember.org_id).where(OrgMember.user_id == user_id)
        own_role = func.max(OrgMember.role).filter(OrgMember.user_id == user_id)
        query = (
            select(
                Org.id,
                Org.name,
                own_role.label("role"),
                func.count().label("members"),
                func.count().filter(OrgMember.role == "owner").label("owners"),
            )
            .join(OrgMember, OrgMember.org_id == Org.id)
            .where(Org.id.in_(mine), Org.deleted_at.is_(None))
            .group_by(Org.id, Org.name, Org.created_at)
            .order_by(Org.created_at, Org.id)
        )
        return (await self._tx.execute(query)).all()

    async def live_keys(self, user_id: UUID, org_ids: Collection[UUID]) -> Sequence[str]:
        """Return the public ids of the keys that end with a user: those they made, and those of
        organisations that end with them."""
        query = select(ApiKey.key_id).where(_keys(user_id, org_ids))
        return (await self._tx.execute(query)).scalars().all()

    async def revoke_keys(self, user_id: UUID, org_ids: Collection[UUID], now: datetime) -> Sequence[str]:
        """Revoke those keys and return their public ids."""
        query = update(ApiKey).where(_keys(user_id, org_ids)).values(revoked_at=now)
        return (await self._tx.execute(query.returning(ApiKey.key_id))).scalars().all()

    async def other_operator(self, user_id: UUID) -> bool:
        """Tell whether somebody else operates the platform."""
        query = select(User.id).where(User.is_operator, User.status == "active", User.id != user_id).limit(1)
        return (await self._tx.execute(query)).first() is not None

    async def remove(self, user_id: UUID) -> None:
        """Delete a user, with memberships, sessions, tokens, factors and identities."""
        await self._tx.execute(delete(User).where(User.id == user_id))


def _keys(user_id: UUID, org_ids: Collection[UUID]) -> Any:
    return and_(
        ApiKey.revoked_at.is_(None), or_(ApiKey.created_by == user_id, ApiKey.org_id.in_(list(org_ids)))
    )


async def forget_expired(tx: Transaction, now: datetime) -> None:
    """Delete what has no effect any more: tokens past their time, counters of days ago, proposals of
    authenticator apps nobody confirmed, sessions that ended a month ago."""
    day, month = timedelta(days=1), timedelta(days=30)
    await tx.execute(delete(OneTimeToken).where(OneTimeToken.expires_at < now))
    await tx.execute(delete(Knocks).where(Knocks.last_at < now - 2 * day))
    await tx.execute(
        delete(TotpSecret).where(TotpSecret.confirmed_at.is_(None), TotpSecret.created_at < now - day)
    )
    await tx.execute(
        delete(Session).where(or_(Session.expires_at < now - month, Session.revoked_at < now - month))
    )
