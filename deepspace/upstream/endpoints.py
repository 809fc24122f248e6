"""Channels, for operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter

from deepspace.accounts.guard import RequiresOperator
from deepspace.accounts.principal import Principal
from deepspace.kit.db import Database, Record
from deepspace.kit.page import Page
from deepspace.kit.web import provided
from deepspace.upstream import schemas
from deepspace.upstream.catalogue import Catalogue
from deepspace.upstream.service import ChannelService, ServedModel

router = APIRouter(prefix="/api/admin", tags=["admin: channels"])

Operator = Annotated[Principal, RequiresOperator("operator:channels")]
Channels = Annotated[ChannelService, provided(ChannelService)]
Models = Annotated[Catalogue, provided(Catalogue)]
Db = Annotated[Database, provided(Database)]


def _view(row: Record, models: Sequence[Record]) -> schemas.ChannelView:
    return schemas.ChannelView(
        id=row.id,
        name=row.name,
        kind=row.kind,
        base_url=row.base_url,
        has_api_key=row.sealed_key is not None,
        has_usage_key=row.sealed_usage_key is not None,
        models=[
            schemas.ChannelModelView(
                model=model.model,
                upstream_model=model.upstream_model,
                context_length=model.context_length,
                max_output_tokens=model.max_output_tokens,
            )
            for model in models
        ],
        priority=row.priority,
        weight=row.weight,
        on_disconnect=row.on_disconnect,
        status=row.status,
        created_at=row.created_at,
    )


@router.get("/channels", summary="Channels")
async def channels(_: Operator, service: Channels, db: Db) -> Page[schemas.ChannelView]:
    """List channels, newest first."""
    async with db.platform() as tx:
        return Page(items=[_view(*found) for found in await service.list(tx)], next_cursor=None)


@router.post("/channels", status_code=201, summary="Create a channel")
async def create_channel(
    body: schemas.ChannelBody, _: Operator, service: Channels, catalogue: Models, db: Db
) -> schemas.ChannelView:
    """Create a channel. The credential is encrypted and never shown again."""
    models = [
        ServedModel(
            item.model, item.upstream_model or item.model, item.context_length, item.max_output_tokens
        )
        for item in body.models
    ]
    async with db.platform() as tx:
        channel_id = await service.create(
            tx,
            name=body.name,
            kind=body.kind,
            base_url=body.base_url,
            api_key=body.api_key,
            models=models,
            priority=body.priority,
            weight=body.weight,
            timeouts=body.timeouts.model_dump(),
            on_disconnect=body.on_disconnect,
            usage_key=body.usage_key,
        )
        view = _view(*await service.get(tx, channel_id))
    catalogue.forget()
    return view


@router.patch("/channels/{channel}", summary="Enable or disable a channel")
async def change_channel(
    channel: UUID, body: schemas.ChannelPatch, _: Operator, service: Channels, catalogue: Models, db: Db
) -> schemas.ChannelView:
    """Enable or disable a channel; calls under way go on."""
    async with db.platform() as tx:
        await service.set_status(tx, channel, body.status)
        view = _view(*await service.get(tx, channel))
    catalogue.forget()
    return view


@router.post("/channels/{channel}/test", summary="Test a channel")
async def try_channel(channel: UUID, _: Operator, service: Channels) -> schemas.ChannelTestView:
    """Have the channel's first model say one word. Nobody is charged."""
    return schemas.ChannelTestView(**await service.test(channel))
