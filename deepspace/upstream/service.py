"""Verbs of the upstream slice: channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec

from deepspace.kit.crypto import SealBroken, Sealer
from deepspace.kit.db import Record, Transaction
from deepspace.kit.errors import NotFound
from deepspace.kit.ids import uuid7
from deepspace.upstream.anthropic.native import read_native_answer
from deepspace.upstream.catalogue import Catalogue, Purpose, Route, anthropic_headers
from deepspace.upstream.client import UpstreamClient
from deepspace.upstream.credentials import SEALED, place_of, proxy_of, without_credentials
from deepspace.upstream.errors import ChannelNameTaken, UpstreamError
from deepspace.upstream.repository import ChannelRepository
from deepspace.upstream.wire import error_message, read_answer

NO_CHAT_STATUS = frozenset({400, 404, 405, 422})
"""How a provider refuses a chat with a model that is for embeddings."""


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model that a channel serves."""

    model: str
    upstream_model: str
    context_length: int | None = None
    max_output_tokens: int | None = None
    purpose: Purpose = "chat"


@dataclass(frozen=True, slots=True)
class ModelList:
    """Where a provider lists its models, the header fields to ask with, and the way there."""

    url: str
    headers: Mapping[str, str]
    proxy: str | None


class ChannelService:
    """Creates, lists and tests channels."""

    def __init__(self, sealer: Sealer, client: UpstreamClient, catalogue: Catalogue) -> None:
        """`sealer` closes credentials before they reach the database."""
        self._sealer = sealer
        self._client = client
        self._catalogue = catalogue

    async def create(
        self,
        tx: Transaction,
        *,
        name: str,
        kind: str,
        base_url: str,
        api_key: str | None,
        models: Sequence[ServedModel],
        priority: int = 0,
        weight: int = 1,
        timeouts: Mapping[str, float] | None = None,
        on_disconnect: str = "drain",
        usage_key: str | None = None,
        proxy: str | None = None,
        max_parallel: int | None = None,
        headers: Mapping[str, str] | None = None,
        pass_through: bool = False,
    ) -> UUID:
        """Create a channel and return its id; ChannelNameTaken if the name is in use."""
        repository = ChannelRepository(tx)
        if await repository.by_name(name) is not None:
            raise ChannelNameTaken
        channel_id = uuid7()
        await repository.add(
            [_row(model) for model in models],
            id=channel_id,
            name=name,
            kind=kind,
            base_url=base_url,
            sealed_key=self._sealed(api_key, "sealed_key", channel_id),
            sealed_usage_key=self._sealed(usage_key, "sealed_usage_key", channel_id),
            sealed_proxy=self._sealed(proxy, "sealed_proxy", channel_id),
            priority=priority,
            weight=weight,
            timeouts=dict(timeouts or {}),
            on_disconnect=on_disconnect,
            max_parallel=max_parallel,
            headers=dict(headers or {}),
            pass_through=pass_through,
        )
        return channel_id

    async def ensure_local(self, tx: Transaction, *, name: str, base_url: str, model: ServedModel) -> None:
        """Create the channel of a local model, or point it at where the model listens now."""
        repository = ChannelRepository(tx)
        row = await repository.by_name(name)
        if row is None:
            await self.create(
                tx,
                name=name,
                kind="local",
                base_url=base_url,
                api_key=None,
                models=[model],
                priority=-100,
                on_disconnect="cancel",
            )
        else:
            await repository.change(row.id, base_url=base_url)

    async def list(self, tx: Transaction) -> list[tuple[Record, Sequence[Record]]]:
        """Return every channel with its models."""
        repository = ChannelRepository(tx)
        return [(row, await repository.models_of(row.id)) for row in await repository.channels()]

    async def get(self, tx: Transaction, channel_id: UUID) -> tuple[Record, Sequence[Record]]:
        """Return a channel with its models."""
        repository = ChannelRepository(tx)
        row = await repository.channel(channel_id)
        if row is None:
            raise NotFound
        return row, await repository.models_of(channel_id)

    async def change(
        self,
        tx: Transaction,
        channel_id: UUID,
        changes: Mapping[str, Any],
        models: Sequence[ServedModel] | None = None,
    ) -> None:
        """Change a channel: `changes` are columns, with `api_key`, `usage_key` and `proxy` in the clear (None
        takes one away). ChannelNameTaken if another channel has the name."""
        repository = ChannelRepository(tx)
        await self.get(tx, channel_id)
        values = dict(changes)
        if "name" in values:
            other = await repository.by_name(values["name"])
            if other is not None and other.id != channel_id:
                raise ChannelNameTaken
        for given, column in SEALED.items():
            if given in values:
                values[column] = self._sealed(values.pop(given), column, channel_id)
        if values:
            await repository.change(channel_id, **values)
        if models is not None:
            await repository.replace_models(channel_id, [_row(model) for model in models])

    async def remove(self, tx: Transaction, channel_id: UUID) -> None:
        """Delete a channel with its credentials. What was used through it stays in the books."""
        await self.get(tx, channel_id)
        await ChannelRepository(tx).remove(channel_id)

    def shown_proxy(self, row: Record) -> str | None:
        """Return a channel's proxy without its credentials; None without one, or if it does not open."""
        try:
            proxy = proxy_of(row, self._sealer)
        except SealBroken:
            return None
        return without_credentials(proxy) if proxy is not None else None

    async def listed(self, tx: Transaction, channel_id: UUID) -> ModelList:
        """Return where the provider lists its models, and how to ask."""
        row, _ = await self.get(tx, channel_id)
        headers: dict[str, str] = {**row.headers, "accept": "application/json"}
        key = (
            self._sealer.open(row.sealed_key, place_of("sealed_key", channel_id)) if row.sealed_key else None
        )
        proxy = proxy_of(row, self._sealer)
        if row.kind == "anthropic":
            return ModelList(f"{row.base_url}/models?limit=1000", anthropic_headers(headers, key), proxy)
        if key is not None:
            headers["authorization"] = f"Bearer {key}"
        return ModelList(f"{row.base_url}/models", headers, proxy)

    async def not_served(self, tx: Transaction, channel_id: UUID, names: Sequence[str]) -> list[str]:
        """Return those of a provider's names that its channel does not serve, under whatever name."""
        _, present = await self.get(tx, channel_id)
        known = {row.model for row in present} | {row.upstream_model for row in present}
        return [name for name in names if name not in known]

    async def serve_too(self, tx: Transaction, channel_id: UUID, names: Sequence[str]) -> list[str]:
        """Have a channel serve these models of its provider, under the provider's names; return those that
        it did not serve before."""
        new = await self.not_served(tx, channel_id, names)
        await ChannelRepository(tx).add_models(channel_id, [_row(ServedModel(name, name)) for name in new])
        return new

    async def test(self, channel_id: UUID) -> dict[str, Any]:
        """Have the channel's first model say one word, or embed one, and report how that went."""
        self._catalogue.forget()
        routes = [route for found in (await self._catalogue.models()).values() for route in found.routes]
        route = next((route for route in routes if route.channel_id == channel_id), None)
        if route is None:
            raise NotFound("The channel is disabled or serves no model.")
        chat = {"max_tokens": 1, "messages": [{"role": "user", "content": "Hi"}]}
        is_native = route.dialect == "anthropic"
        status, payload = await self._ask(route, "/messages" if is_native else "/chat/completions", chat)
        if not is_native and status in NO_CHAT_STATUS:
            embedded, vectors = await self._ask(route, "/embeddings", {"input": "Hi"})
            if embedded == 200 and b'"embedding"' in vectors:
                return {"ok": True, "model": route.model, "status": embedded}
        if status != 200:
            raise UpstreamError(f"The provider answered {status}: {error_message(payload)}")
        read = read_native_answer if is_native else read_answer
        return {"ok": read(payload).has_choices, "model": route.model, "status": status}

    async def _ask(self, route: Route, path: str, asked: Mapping[str, Any]) -> tuple[int, bytes]:
        body = msgspec.json.encode({"model": route.upstream_model, **asked})
        response = await self._client.post(route, path, body, dict(route.extra_headers))
        try:
            return response.status, b"".join([chunk async for chunk in response.chunks()])
        finally:
            await response.close()

    def _sealed(self, secret: str | None, column: str, channel_id: UUID) -> bytes | None:
        return self._sealer.seal(secret, place_of(column, channel_id)) if secret else None


def _row(model: ServedModel) -> dict[str, Any]:
    return {
        "model": model.model,
        "upstream_model": model.upstream_model,
        "context_length": model.context_length,
        "max_output_tokens": model.max_output_tokens,
        "purpose": model.purpose,
    }
