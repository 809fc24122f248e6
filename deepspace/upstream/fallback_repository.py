"""Every SQL statement on fallbacks."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert

from deepspace.kit.db import Record, Transaction
from deepspace.upstream.models import ModelFallback


class FallbackRepository:
    """Which models stand in for which: platform-wide."""

    def __init__(self, tx: Transaction) -> None:
        """Run on the caller's transaction."""
        self._tx = tx

    async def all(self) -> Sequence[Record]:
        """Return what is set, by model."""
        query = select(ModelFallback.__table__).order_by(ModelFallback.model)
        return (await self._tx.execute(query)).all()

    async def put(self, model: str, if_unavailable: list[str], if_too_long: list[str]) -> Record:
        """Insert or replace what stands in for a model."""
        values = {"if_unavailable": if_unavailable, "if_too_long": if_too_long, "changed_at": func.now()}
        statement = insert(ModelFallback).values(model=model, **values)
        statement = statement.on_conflict_do_update(index_elements=["model"], set_=values)
        return (await self._tx.execute(statement.returning(ModelFallback.__table__))).one()

    async def remove(self, model: str) -> bool:
        """Delete what stands in for a model; False if nothing did."""
        statement = delete(ModelFallback).where(ModelFallback.model == model)
        return (await self._tx.execute(statement.returning(ModelFallback.model))).one_or_none() is not None
