"""policy: may the caller use this model, from here and now, and who can answer for it."""

from __future__ import annotations

from deepspace.kit.errors import PermissionDenied
from deepspace.pipeline.exchange import Exchange
from deepspace.pipeline.fallbacks import allowed
from deepspace.policy.policies import PolicyBook
from deepspace.upstream.catalogue import Catalogue


class Policy:
    """Holds the call against the catalogue, the API key's model list and the rules in force."""

    name = "policy"

    def __init__(self, catalogue: Catalogue, policies: PolicyBook) -> None:
        """Find routes in this catalogue and rules in this book."""
        self._catalogue = catalogue
        self._policies = policies

    async def __call__(self, x: Exchange) -> None:
        """Write routes and fallbacks; refuse a model that does not exist or that the key is not for, and what
        a rule refuses."""
        start = x.clock.monotonic_ns()
        offer = await self._catalogue.offer(x.call.model)
        operation = x.call.operation
        routes = offer.routes if operation is None else operation.served_by(offer.routes, x.path)
        key = x.principal.key if x.principal is not None else None
        if key is not None and key.scopes.models is not None and x.call.model not in key.scopes.models:
            raise PermissionDenied(f"This API key may not call the model '{x.call.model}'.", param="model")
        rules = await self._policies.of(x.org_id)
        if rules:
            for rule in rules.hold(x.call.model, x.client_ip, x.clock.now()):
                x.note(
                    self.name, "policy.would_refuse", policy_id=str(rule.id), kind=rule.kind, note=rule.note
                )
        x.routes, x.guards = routes, rules.guards
        if operation is None and (offer.if_unavailable or offer.if_too_long):
            x.fallbacks = await allowed(x, offer, self._catalogue, rules)
        x.note(
            self.name,
            "policy.allowed",
            duration_ns=x.clock.monotonic_ns() - start,
            channels=[route.channel_name for route in routes],
        )
