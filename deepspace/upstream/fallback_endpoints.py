"""Fallbacks of models, for operators."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from deepspace.accounts.guard import RequiresOperator
from deepspace.accounts.principal import Principal
from deepspace.kit.db import Database, Record
from deepspace.kit.page import Page
from deepspace.kit.web import provided
from deepspace.upstream.catalogue import Catalogue
from deepspace.upstream.fallback_schemas import FallbacksBody, FallbacksView
from deepspace.upstream.fallbacks import FallbackService

router = APIRouter(prefix="/api/admin", tags=["admin: channels"])

Operator = Annotated[Principal, RequiresOperator("operator:channels")]
Fallbacks = Annotated[FallbackService, provided(FallbackService)]
Models = Annotated[Catalogue, provided(Catalogue)]
Db = Annotated[Database, provided(Database)]
ModelInPath = Annotated[str, Path(min_length=1, max_length=200, description="The name clients use.")]


def _view(row: Record) -> FallbacksView:
    return FallbacksView(
        model=row.model,
        if_unavailable=row.if_unavailable,
        if_too_long=row.if_too_long,
        changed_at=row.changed_at,
    )


@router.get("/model-fallbacks", summary="Fallbacks of models")
async def fallbacks(_: Operator, service: Fallbacks, db: Db) -> Page[FallbacksView]:
    """List which models stand in for which, by name."""
    async with db.platform() as tx:
        return Page(items=[_view(row) for row in await service.list(tx)], next_cursor=None)


@router.put("/model-fallbacks/{model:path}", summary="Set the fallbacks of a model")
async def put_fallbacks(
    model: ModelInPath,
    body: FallbacksBody,
    operator: Operator,
    service: Fallbacks,
    catalogue: Models,
    db: Db,
) -> FallbacksView:
    """Say which models stand in for this one, in order. What a caller may not use, and what is not served or
    has no price when a call is made, is left out then."""
    async with db.platform() as tx:
        row = await service.put(
            tx,
            model,
            if_unavailable=[name for name in body.if_unavailable if name != model],
            if_too_long=[name for name in body.if_too_long if name != model],
            actor_id=operator.user_id,
        )
    catalogue.forget()
    return _view(row)


@router.delete("/model-fallbacks/{model:path}", status_code=204, summary="Remove the fallbacks of a model")
async def remove_fallbacks(
    model: ModelInPath, operator: Operator, service: Fallbacks, catalogue: Models, db: Db
) -> None:
    """Have nothing stand in for this model any more; calls under way go on as they began."""
    async with db.platform() as tx:
        await service.remove(tx, model, actor_id=operator.user_id)
    catalogue.forget()
