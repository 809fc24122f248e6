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
from deepspace.upstream.fetch import fetch
from deepspace.upstream.model_list import read_model_list
from deepspace.upstream.routing import Router
from deepspace.upstream.service import ChannelService, ServedModel

router = APIRouter(prefix="/api/admin", tags=["admin: channels"])

Operator = Annotated[Principal, RequiresOperator("operator:channels")]
Channels = Annotated[ChannelService, provided(ChannelService)]
Models = Annotated[Catalogue, provided(Catalogue)]
Db = Annotated[Database, provided(Database)]


def _view(service: ChannelService, row: Record, models: Sequence[Record]) -> schemas.ChannelView:
    return schemas.ChannelView(
        id=row.id,
        name=row.name,
        kind=row.kind,
        base_url=row.base_url,
        has_api_key=row.sealed_key is not None,
        proxy=service.shown_proxy(row),
        has_usage_key=row.sealed_usage_key is not None,
        models=[
            schemas.ChannelModelView(
                model=model.model,
                upstream_model=model.upstream_model,
                context_length=model.context_length,
                max_output_tokens=model.max_output_tokens,
                purpose=model.purpose,
            )
            for model in models
        ],
        priority=row.priority,
        weight=row.weight,
        max_parallel=row.max_parallel,
        headers=row.headers,
        timeouts=row.timeouts,
        on_disconnect=row.on_disconnect,
        pass_through=row.pass_through,
        status=row.status,
        created_at=row.created_at,
    )


def _served(models: Sequence[schemas.ModelBody]) -> list[ServedModel]:
    return [
        ServedModel(
            item.model,
            item.upstream_model or item.model,
            item.context_length,
            item.max_output_tokens,
            item.purpose,
        )
        for item in models
    ]


@router.get("/channels", summary="Channels")
async def channels(_: Operator, service: Channels, db: Db) -> Page[schemas.ChannelView]:
    """List channels, newest first."""
    async with db.platform() as tx:
        return Page(items=[_view(service, *found) for found in await service.list(tx)], next_cursor=None)


@router.post("/channels", status_code=201, summary="Create a channel")
async def create_channel(
    body: schemas.ChannelBody, _: Operator, service: Channels, catalogue: Models, db: Db
) -> schemas.ChannelView:
    """Create a channel. The credential is encrypted and never shown again."""
    models = _served(body.models)
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
            proxy=body.proxy,
            max_parallel=body.max_parallel,
            headers=body.headers,
            pass_through=body.pass_through,
        )
        view = _view(service, *await service.get(tx, channel_id))
    catalogue.forget()
    return view


@router.patch("/channels/{channel}", summary="Change a channel")
async def change_channel(
    channel: UUID, body: schemas.ChannelPatch, _: Operator, service: Channels, catalogue: Models, db: Db
) -> schemas.ChannelView:
    """Change what is given and nothing else; calls under way go on as they began."""
    changes = body.model_dump(exclude_unset=True)
    models = _served(body.models) if changes.pop("models", None) is not None else None
    if "timeouts" in changes:
        changes["timeouts"] = body.timeouts.model_dump()  # whole: what is left out has its default
    async with db.platform() as tx:
        await service.change(tx, channel, changes, models)
        view = _view(service, *await service.get(tx, channel))
    catalogue.forget()
    return view


@router.delete("/channels/{channel}", status_code=204, summary="Delete a channel")
async def delete_channel(channel: UUID, _: Operator, service: Channels, catalogue: Models, db: Db) -> None:
    """Delete a channel with its credentials. Calls under way go on; the books keep what was used."""
    async with db.platform() as tx:
        await service.remove(tx, channel)
    catalogue.forget()


@router.get("/channels/{channel}/health", summary="Health of a channel")
async def channel_health(
    channel: UUID, _: Operator, service: Channels, state: Annotated[Router, provided(Router)], db: Db
) -> schemas.ChannelHealthView:
    """Return circuit breaker, calls under way and error rate by model, as this gateway process knows them."""
    async with db.platform() as tx:
        await service.get(tx, channel)
    return schemas.ChannelHealthView.model_validate({"models": state.health(channel)})


@router.post("/channels/{channel}/import-models", summary="Import a provider's models")
async def import_models(
    channel: UUID, body: schemas.ImportBody, _: Operator, service: Channels, catalogue: Models, db: Db
) -> schemas.ImportView:
    """Read the provider's list of models and serve those that the channel does not serve yet.

    A model without a price is refused when it is called, never free.
    """
    async with db.platform() as tx:
        where = await service.listed(tx, channel)
    listed = read_model_list(await fetch("list of models", where.url, where.headers, proxy=where.proxy))
    wanted = [name for name in listed if body.only is None or name in body.only]
    async with db.platform() as tx:
        if body.dry_run:
            return schemas.ImportView(listed=listed, added=await service.not_served(tx, channel, wanted))
        added = await service.serve_too(tx, channel, wanted)
    catalogue.forget()
    return schemas.ImportView(listed=listed, added=added)


@router.post("/channels/{channel}/test", summary="Test a channel")
async def try_channel(channel: UUID, _: Operator, service: Channels) -> schemas.ChannelTestView:
    """Have the channel's first model say one word. Nobody is charged."""
    return schemas.ChannelTestView(**await service.test(channel))
