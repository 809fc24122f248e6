"""Which models may answer for which, and the operators' verbs for that.

A chain is of one model and is not followed further: what stands in for a fallback does not stand in for the
model that was asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from deepspace.accounts.events import OrganizationEvents
from deepspace.kit.db import Record, Transaction
from deepspace.kit.errors import NotFound
from deepspace.upstream.fallback_repository import FallbackRepository

MOST_FALLBACKS = 5
"""Of one model and one reason: every one of them is priced before a call is made."""


class FallbackService:
    """Sets, lists and removes the models that stand in for others."""

    def __init__(self, events: OrganizationEvents) -> None:
        """Tell `events` of changes."""
        self._events = events

    async def list(self, tx: Transaction) -> Sequence[Record]:
        """Return what is set, by model."""
        return await FallbackRepository(tx).all()

    async def put(
        self,
        tx: Transaction,
        model: str,
        *,
        if_unavailable: Sequence[str],
        if_too_long: Sequence[str],
        actor_id: UUID | None,
    ) -> Record:
        """Say which models stand in for `model`, in order; replaces what was said before."""
        row = await FallbackRepository(tx).put(model, list(if_unavailable), list(if_too_long))
        await self._events.append(
            tx,
            "model.fallbacks_set",
            None,
            actor_id,
            model=model,
            if_unavailable=list(if_unavailable),
            if_too_long=list(if_too_long),
        )
        return row

    async def remove(self, tx: Transaction, model: str, *, actor_id: UUID | None) -> None:
        """Have nothing stand in for `model`; NotFound if nothing does."""
        if not await FallbackRepository(tx).remove(model):
            raise NotFound
        await self._events.append(tx, "model.fallbacks_removed", None, actor_id, model=model)
