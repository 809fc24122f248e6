"""The model catalogue: which channels can answer for a model, in order of preference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from deepspace.kit.cache import ReadThrough
from deepspace.kit.crypto import SealBroken, Sealer
from deepspace.kit.db import Database, Record
from deepspace.kit.log import get_logger
from deepspace.upstream.anthropic.words import VERSION
from deepspace.upstream.credentials import place_of, proxy_of
from deepspace.upstream.errors import ModelNotFound
from deepspace.upstream.fallback_repository import FallbackRepository
from deepspace.upstream.repository import ChannelRepository

log = get_logger(__name__)

DEFAULT_MAX_OUTPUT_TOKENS = 4096

Dialect = Literal["openai", "anthropic", "responses", "completions"]
"""What a client or a channel speaks. The first is the inner language."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds a channel may take: to connect, to the first byte, between two bytes, for the whole answer."""

    connect_s: float = 10
    first_byte_s: float = 120
    idle_s: float = 60
    total_s: float = 900


Purpose = Literal["chat", "embeddings", "other"]


@dataclass(frozen=True, slots=True)
class Route:
    """One way to have a model answer."""

    channel_id: UUID
    channel_name: str
    kind: str
    base_url: str
    api_key: str | None
    model: str
    upstream_model: str
    context_length: int | None
    max_output_tokens: int
    timeouts: Timeouts
    on_disconnect: Literal["drain", "cancel"]
    created_at: datetime
    priority: int = 0
    weight: int = 1
    max_parallel: int | None = None
    """Calls the channel may have under way in one gateway process; None for any number."""
    extra_headers: tuple[tuple[str, str], ...] = ()
    """Header fields that the channel sends with each call, beside the dialect's own."""
    proxy: str | None = None
    """The HTTP proxy that leads to it, with credentials."""
    pass_through: bool = False
    """Whether the channel takes calls at addresses that the gateway does not know."""
    purpose: Purpose = "chat"
    """What the model is for. It is shown to clients, and forbids nothing."""

    @property
    def dialect(self) -> Dialect:
        """What the channel speaks."""
        return "anthropic" if self.kind == "anthropic" else "openai"

    @property
    def is_local(self) -> bool:
        """Whether this is the small model that runs on this machine."""
        return self.kind == "local"


@dataclass(frozen=True, slots=True)
class Offer:
    """The routes of a model, and the names of models that may stand in for it."""

    routes: tuple[Route, ...]
    if_unavailable: tuple[str, ...] = ()
    if_too_long: tuple[str, ...] = ()


def anthropic_headers(headers: Mapping[str, str], api_key: str | None) -> dict[str, str]:
    """Return a channel's header fields with what the Anthropic dialect wants: a version, and the credential
    in a field of its own instead of `authorization`."""
    credential = {"x-api-key": api_key} if api_key is not None else {}
    return {"anthropic-version": VERSION, **headers, **credential}


class Catalogue:
    """All routes, remembered for a second."""

    def __init__(self, database: Database, sealer: Sealer, *, max_age_s: float = 1.0) -> None:
        """`sealer` opens the channels' credentials."""
        self._database = database
        self._sealer = sealer
        self._snapshot = ReadThrough(self._load, max_age_s=max_age_s, max_entries=1)

    async def offer(self, model: str) -> Offer:
        """Return the routes of a model, the preferred one first; ModelNotFound if there is none."""
        offer = (await self._snapshot.get(None)).get(model)
        if offer is None:
            raise ModelNotFound(
                f"There is no model '{model}' here. GET /v1/models lists what there is.", param="model"
            )
        return offer

    async def models(self) -> Mapping[str, Offer]:
        """Return every model with its routes."""
        return await self._snapshot.get(None)

    def forget(self) -> None:
        """Read the catalogue again at the next call."""
        self._snapshot.forget(None)

    async def _load(self, _: None) -> Mapping[str, Offer]:
        async with self._database.platform() as tx:
            rows = await ChannelRepository(tx).enabled_routes()
            chains = {row.model: row for row in await FallbackRepository(tx).all()}
        found: dict[str, list[Route]] = {}
        for row in rows:
            try:
                found.setdefault(row.model, []).append(self._route(row))
            except SealBroken:
                log.exception("a channel's credentials do not open; it is left out", channel=row.name)
        return {model: _offer(tuple(routes), chains.get(model)) for model, routes in found.items() if routes}

    def _route(self, row: Record) -> Route:
        api_key = (
            self._sealer.open(row.sealed_key, place_of("sealed_key", row.id)) if row.sealed_key else None
        )
        headers = dict(row.headers)
        if row.kind == "anthropic":
            headers, api_key = anthropic_headers(headers, api_key), None
        return Route(
            row.id,
            row.name,
            row.kind,
            row.base_url,
            api_key,
            row.model,
            row.upstream_model,
            row.context_length,
            row.max_output_tokens or DEFAULT_MAX_OUTPUT_TOKENS,
            Timeouts(**row.timeouts),
            row.on_disconnect,
            row.created_at,
            row.priority,
            row.weight,
            row.max_parallel,
            tuple(headers.items()),
            proxy_of(row, self._sealer),
            row.pass_through,
            row.purpose,
        )


def _offer(routes: tuple[Route, ...], chain: Record | None) -> Offer:
    if chain is None:
        return Offer(routes)
    return Offer(routes, tuple(chain.if_unavailable), tuple(chain.if_too_long))
