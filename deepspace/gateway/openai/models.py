"""GET /v1/models: what can be called, and what it costs."""

from __future__ import annotations

import msgspec

from deepspace.accounts.authenticator import Authenticator
from deepspace.billing.rates import Price
from deepspace.billing.service import PriceBook
from deepspace.gateway.asgi import Receive, Scope, Send, header, send_json
from deepspace.kit.clock import Clock
from deepspace.kit.money import decimal_from_nano
from deepspace.kit.web import bearer
from deepspace.policy.policies import PolicyBook
from deepspace.upstream.catalogue import Catalogue, Offer
from deepspace.upstream.errors import ModelNotFound

_PREFIX = "/v1/models/"


class Models:
    """The endpoint: the list, and one model by `/v1/models/{id}`."""

    def __init__(
        self,
        authenticator: Authenticator,
        catalogue: Catalogue,
        prices: PriceBook,
        policies: PolicyBook,
        clock: Clock,
    ) -> None:
        """Read from these."""
        self._authenticator = authenticator
        self._catalogue = catalogue
        self._prices = prices
        self._policies = policies
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the models the caller may use."""
        credential = bearer(header(scope, b"authorization"))
        principal = await self._authenticator.principal(credential, "models", scope["state"]["client_ip"])
        org_id, _ = await self._authenticator.project_for(principal, header(scope, b"x-deepspace-project"))
        allowed = principal.key.scopes.models if principal.key is not None else None
        rules, now = await self._policies.of(org_id), self._clock.now()
        models = {
            name: offer
            for name, offer in (await self._catalogue.models()).items()
            if (allowed is None or name in allowed) and rules.permits(name, scope["state"]["client_ip"], now)
        }
        path: str = scope["path"]
        if path.startswith(_PREFIX):
            name = path.removeprefix(_PREFIX)
            if name not in models:
                raise ModelNotFound(param="model")
            return await send_json(send, 200, msgspec.json.encode(await self._view(models[name])))
        data = [await self._view(offer) for offer in models.values()]
        return await send_json(send, 200, msgspec.json.encode({"object": "list", "data": data}))

    async def _view(self, offer: Offer) -> dict[str, object]:
        routes, first = offer.routes, offer.routes[0]
        return {
            "id": first.model,
            "object": "model",
            "created": int(first.created_at.timestamp()),
            "owned_by": first.channel_name,
            "context_length": first.context_length,
            "max_output_tokens": max(route.max_output_tokens for route in routes),
            "local": first.is_local,
            "purpose": first.purpose,
            "fallbacks": {"if_unavailable": offer.if_unavailable, "if_too_long": offer.if_too_long},
            "pricing": _pricing(await self._prices.find(first.model)),
        }


def _pricing(price: Price | None) -> dict[str, object] | None:
    if price is None:
        return None
    return {
        "currency": price.currency,
        "per_million": price.per_million(),
        "per_call": decimal_from_nano(price.per_call_nano),
    }
