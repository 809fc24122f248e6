"""Every SQL statement of the upstream slice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import delete, insert, select, update

from deepspace.kit.db import Record, Transaction
from deepspace.upstream.models import Channel, ChannelModel


class ChannelRepository:
    """Channels and what they serve: platform-wide."""

    def __init__(self, tx: Transaction) -> None:
        """Run on the caller's transaction."""
        self._tx = tx

    async def channels(self) -> Sequence[Record]:
        """Return every channel, newest first."""
        return (await self._tx.execute(select(Channel.__table__).order_by(Channel.id.desc()))).all()

    async def channel(self, channel_id: UUID) -> Record | None:
        """Return a channel."""
        return (
            await self._tx.execute(select(Channel.__table__).where(Channel.id == channel_id))
        ).one_or_none()

    async def by_name(self, name: str) -> Record | None:
        """Return the channel of a name."""
        return (await self._tx.execute(select(Channel.__table__).where(Channel.name == name))).one_or_none()

    async def lock_all(self) -> Sequence[Record]:
        """Return every channel, locked against changes."""
        query = select(Channel.__table__).order_by(Channel.id).with_for_update()
        return (await self._tx.execute(query)).all()

    async def models_of(self, channel_id: UUID) -> Sequence[Record]:
        """Return what a channel serves."""
        query = (
            select(ChannelModel.__table__)
            .where(ChannelModel.channel_id == channel_id)
            .order_by(ChannelModel.model)
        )
        return (await self._tx.execute(query)).all()

    async def add(self, models: Sequence[dict[str, Any]], **values: Any) -> None:
        """Insert a channel with its models."""
        await self._tx.execute(insert(Channel).values(**values))
        await self.replace_models(values["id"], models)

    async def change(self, channel_id: UUID, **values: Any) -> None:
        """Change columns of a channel."""
        await self._tx.execute(update(Channel).where(Channel.id == channel_id).values(**values))

    async def remove(self, channel_id: UUID) -> None:
        """Delete a channel; its models go with it."""
        await self._tx.execute(delete(Channel).where(Channel.id == channel_id))

    async def replace_models(self, channel_id: UUID, models: Sequence[dict[str, Any]]) -> None:
        """Make `models` all that the channel serves."""
        await self._tx.execute(delete(ChannelModel).where(ChannelModel.channel_id == channel_id))
        await self.add_models(channel_id, models)

    async def add_models(self, channel_id: UUID, models: Sequence[dict[str, Any]]) -> None:
        """Have a channel serve these models too."""
        if models:
            await self._tx.execute(
                insert(ChannelModel), [{"channel_id": channel_id, **model} for model in models]
            )

    async def enabled_routes(self) -> Sequence[Record]:
        """Return every (channel, model) that can be called, the preferred ones first."""
        query = (
            select(
                Channel.__table__,
                ChannelModel.model,
                ChannelModel.upstream_model,
                ChannelModel.context_length,
                ChannelModel.max_output_tokens,
                ChannelModel.purpose,
            )
            .join(ChannelModel, ChannelModel.channel_id == Channel.id)
            .where(Channel.status == "enabled")
            .order_by(ChannelModel.model, Channel.priority.desc(), Channel.id)
        )
        return (await self._tx.execute(query)).all()
