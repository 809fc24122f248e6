"""Verbs of the upstream slice: channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec

from deepspace.kit.crypto import Sealer
from deepspace.kit.db import Record, Transaction
from deepspace.kit.errors import NotFound
from deepspace.kit.ids import uuid7
from deepspace.upstream.anthropic.native import read_native_answer
from deepspace.upstream.catalogue import Catalogue, anthropic_headers, seal_place
from deepspace.upstream.client import UpstreamClient
from deepspace.upstream.errors import ChannelNameTaken, UpstreamError
from deepspace.upstream.repository import ChannelRepository
from deepspace.upstream.usage_report import usage_key_place
from deepspace.upstream.wire import error_message, read_answer


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model that a channel serves."""

    model: str
    upstream_model: str
    context_length: int | None = None
    max_output_tokens: int | None = None


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
            sealed_key=self._sealer.seal(api_key, seal_place(channel_id)) if api_key else None,
            sealed_usage_key=self._sealer.seal(usage_key, usage_key_place(channel_id)) if usage_key else None,
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
        """Change a channel: `changes` are columns, with `api_key` and `usage_key` in the clear (None takes
        one away). ChannelNameTaken if another channel has the name."""
        repository = ChannelRepository(tx)
        await self.get(tx, channel_id)
        values = dict(changes)
        if "name" in values:
            other = await repository.by_name(values["name"])
            if other is not None and other.id != channel_id:
                raise ChannelNameTaken
        for given, column, place in (
            ("api_key", "sealed_key", seal_place),
            ("usage_key", "sealed_usage_key", usage_key_place),
        ):
            if given in values:
                key = values.pop(given)
                values[column] = self._sealer.seal(key, place(channel_id)) if key else None
        if values:
            await repository.change(channel_id, **values)
        if models is not None:
            await repository.replace_models(channel_id, [_row(model) for model in models])

    async def remove(self, tx: Transaction, channel_id: UUID) -> None:
        """Delete a channel with its credentials. What was used through it stays in the books."""
        await self.get(tx, channel_id)
        await ChannelRepository(tx).remove(channel_id)

    async def listed(self, tx: Transaction, channel_id: UUID) -> tuple[str, dict[str, str]]:
        """Return the address of the provider's list of models and the header fields to ask with."""
        row, _ = await self.get(tx, channel_id)
        headers: dict[str, str] = {**row.headers, "accept": "application/json"}
        key = self._sealer.open(row.sealed_key, seal_place(channel_id)) if row.sealed_key else None
        if row.kind == "anthropic":
            return f"{row.base_url}/models?limit=1000", anthropic_headers(headers, key)
        if key is not None:
            headers["authorization"] = f"Bearer {key}"
        return f"{row.base_url}/models", headers

    async def serve_too(self, tx: Transaction, channel_id: UUID, names: Sequence[str]) -> list[str]:
        """Have a channel serve these models of its provider, under the provider's names; return those that
        it did not serve before."""
        repository = ChannelRepository(tx)
        _, present = await self.get(tx, channel_id)
        known = {row.model for row in present} | {row.upstream_model for row in present}
        new = [name for name in names if name not in known]
        await repository.add_models(channel_id, [_row(ServedModel(name, name)) for name in new])
        return new

    async def test(self, channel_id: UUID) -> dict[str, Any]:
        """Have the channel's first model say one word, and report how that went."""
        self._catalogue.forget()
        routes = [route for found in (await self._catalogue.models()).values() for route in found.routes]
        route = next((route for route in routes if route.channel_id == channel_id), None)
        if route is None:
            raise NotFound("The channel is disabled or serves no model.")
        body = {
            "model": route.upstream_model,
            "max_tokens": 1,
            "messages": [{"role": "user", "content": "Hi"}],
        }
        path = "/messages" if route.dialect == "anthropic" else "/chat/completions"
        headers = dict(route.extra_headers)
        response = await self._client.post(route, path, msgspec.json.encode(body), headers)
        try:
            payload = b"".join([chunk async for chunk in response.chunks()])
        finally:
            await response.close()
        if response.status != 200:
            raise UpstreamError(f"The provider answered {response.status}: {error_message(payload)}")
        read = read_native_answer if route.dialect == "anthropic" else read_answer
        return {"ok": read(payload).has_choices, "model": route.model, "status": response.status}


def _row(model: ServedModel) -> dict[str, Any]:
    return {
        "model": model.model,
        "upstream_model": model.upstream_model,
        "context_length": model.context_length,
        "max_output_tokens": model.max_output_tokens,
    }
