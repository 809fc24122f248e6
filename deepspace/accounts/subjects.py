"""What limits and budgets are set on: it must be the organisation's own."""

from __future__ import annotations

from uuid import UUID

from deepspace.accounts.key_repository import KeyRepository
from deepspace.accounts.org_repository import MemberRepository
from deepspace.accounts.repository import OrgRepository
from deepspace.kit.db import Transaction
from deepspace.kit.errors import ValidationFailed


async def demand_subject(tx: Transaction, org_id: UUID, kind: str, subject_id: UUID, *, param: str) -> None:
    """Raise ValidationFailed unless the id is that of a key, member or project of this organisation.

    Other kinds (the organisation itself, a model, a run) have no table here, and pass. An id of another
    organisation is refused as one that nobody has.
    """
    match kind:
        case "api_key":
            found = await KeyRepository(tx, org_id).key(subject_id)
        case "user":
            found = await MemberRepository(tx, org_id).place(subject_id)
        case "project":
            found = await OrgRepository(tx, org_id).project(subject_id)
        case _:
            return
    if found is None:
        raise ValidationFailed(f"There is no such {kind} in this organisation.", param=param)
