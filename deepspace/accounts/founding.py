"""Founding an organisation: the one way in which every organisation comes to be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from deepspace.accounts.org_parts import OrgPart
from deepspace.accounts.org_repository import MemberRepository, OrgRowRepository
from deepspace.accounts.project_repository import ProjectRepository
from deepspace.kit.db import Transaction
from deepspace.kit.ids import uuid7

DEFAULT_PROJECT = "Default"


@dataclass(frozen=True, slots=True)
class Founded:
    """A new organisation and its default project."""

    org_id: UUID
    project_id: UUID


class Founding:
    """Makes organisations; whether somebody may have one is for the caller to say."""

    def __init__(self, parts: Sequence[OrgPart]) -> None:
        """`parts` are what other slices keep for every organisation: its wallet."""
        self._parts = parts

    async def found(
        self, tx: Transaction, name: str, owner_id: UUID, *, org_id: UUID | None = None
    ) -> Founded:
        """Make an organisation with its owner, a default project, and what other slices keep for it.

        `org_id` is for who opened the transaction in the name of the organisation to be.
        """
        founded = Founded(org_id or uuid7(), uuid7())
        await OrgRowRepository(tx, founded.org_id).add(name)
        await MemberRepository(tx, founded.org_id).add(owner_id, "owner")
        projects = ProjectRepository(tx, founded.org_id)
        await projects.add(id=founded.project_id, name=DEFAULT_PROJECT, is_default=True)
        for part in self._parts:
            await part.open(tx, founded.org_id)
        return founded
