"""What other slices keep for an organisation. Accounts lie below them, so wiring hands the parts in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from deepspace.kit.db import Transaction


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why an organisation cannot be deleted now: the error code and sentence of the refusal."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Survey:
    """What a deletion would do to a part: numbers of things by their name in the API."""

    goes: Mapping[str, int] = field(default_factory=dict[str, int])
    stays: Mapping[str, int] = field(default_factory=dict[str, int])
    obstacles: tuple[Obstacle, ...] = ()


@dataclass(frozen=True, slots=True)
class Ending:
    """On whose word an organisation is deleted, and whether its money is given up with it."""

    user_id: UUID
    forfeit_balance: bool = False


class OrgPart(Protocol):
    """A part of every organisation: made with it, counted before its deletion, closed by it."""

    async def open(self, tx: Transaction, org_id: UUID) -> None:
        """Make what a new organisation needs."""
        ...

    async def survey(self, tx: Transaction, org_id: UUID) -> Survey:
        """Count what would go and what would stay, and say what stands in the way. Changes nothing."""
        ...

    async def close(self, tx: Transaction, org_id: UUID, ending: Ending) -> None:
        """Remove what goes; raise the obstacle's error if something stands in the way."""
        ...
