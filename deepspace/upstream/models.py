"""Tables of the upstream slice."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Integer,
    LargeBinary,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from deepspace.kit.db import Table


class Channel(Table):
    """A way to a provider. The credential is sealed; nobody reads it back."""

    __tablename__ = "channels"
    __table_args__ = (
        UniqueConstraint("name"),
        CheckConstraint("kind IN ('newapi', 'openai', 'anthropic', 'local')", name="kind"),
        CheckConstraint("status IN ('enabled', 'disabled')", name="status"),
        CheckConstraint("on_disconnect IN ('drain', 'cancel')", name="on_disconnect"),
        CheckConstraint("max_parallel > 0", name="max_parallel"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    base_url: Mapped[str] = mapped_column(Text)
    sealed_key: Mapped[bytes | None] = mapped_column(LargeBinary)
    sealed_proxy: Mapped[bytes | None] = mapped_column(LargeBinary)
    sealed_usage_key: Mapped[bytes | None] = mapped_column(LargeBinary)
    priority: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    weight: Mapped[int] = mapped_column(Integer, server_default=text("1"))
    max_parallel: Mapped[int | None] = mapped_column(Integer)
    headers: Mapped[dict[str, str]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    timeouts: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    on_disconnect: Mapped[str] = mapped_column(Text, server_default="drain")
    pass_through: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    status: Mapped[str] = mapped_column(Text, server_default="enabled")
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class ChannelModel(Table):
    """A model that a channel serves, under our name and the provider's."""

    __tablename__ = "channel_models"
    __table_args__ = (CheckConstraint("purpose IN ('chat', 'embeddings', 'other')", name="purpose"),)

    channel_id: Mapped[UUID] = mapped_column(ForeignKey("channels.id", ondelete="CASCADE"), primary_key=True)
    model: Mapped[str] = mapped_column(Text, primary_key=True, index=True)
    upstream_model: Mapped[str] = mapped_column(Text)
    context_length: Mapped[int | None] = mapped_column(Integer)
    max_output_tokens: Mapped[int | None] = mapped_column(Integer)
    purpose: Mapped[str] = mapped_column(Text, server_default="chat")


class ModelFallback(Table):
    """The models that stand in for one, in order: when none of its channels answers, and when a request is
    too long for it."""

    __tablename__ = "model_fallbacks"

    model: Mapped[str] = mapped_column(Text, primary_key=True)
    if_unavailable: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    if_too_long: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    changed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
