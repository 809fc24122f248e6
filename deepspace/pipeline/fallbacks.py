"""Models that stand in for the one a call asks for: who may, what each costs at most, and who is next.

Money: the hold is made at the dearest bound of all of them, each price version pinned then; before a fallback
is asked the hold is turned to its model and price, durably (billing/turning.py). So whatever answers, the
call is charged at the price of the model that answered, and never above what was held for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec

from deepspace.billing.errors import BudgetExceeded, InsufficientFunds
from deepspace.billing.ledger import Clamped, HoldRequest, Ledger, Replay
from deepspace.billing.rates import Price
from deepspace.billing.service import PriceBook
from deepspace.kit.errors import PlatformError
from deepspace.kit.money import MAX_NANO
from deepspace.pipeline.exchange import Exchange, Fallback
from deepspace.policy.policies import RuleSet
from deepspace.upstream.catalogue import Catalogue, Offer, Route
from deepspace.upstream.errors import ContextTooLong, UpstreamTimeout, UpstreamUnavailable


async def allowed(x: Exchange, offer: Offer, catalogue: Catalogue, rules: RuleSet) -> tuple[Fallback, ...]:
    """Return the models that may stand in, of those that are served and that the caller may use."""
    served = await catalogue.models()
    key = x.principal.key if x.principal is not None else None
    scope = key.scopes.models if key is not None else None
    now = x.clock.now()
    return tuple(
        Fallback(name, served[name].routes, name in offer.if_unavailable, name in offer.if_too_long)
        for name in dict.fromkeys((*offer.if_unavailable, *offer.if_too_long))
        if name in served
        and (scope is None or name in scope)
        and (not rules or rules.permits(name, x.client_ip, now))
    )


def output_limit(x: Exchange, routes: Sequence[Route]) -> int:
    """Return the output limit of a chat call that goes one of these ways."""
    most = max([route.max_output_tokens for route in routes])
    return min(x.call.max_tokens, most) if x.call.max_tokens is not None else most


async def _priced(x: Exchange, prices: PriceBook, input_bound: int) -> tuple[Fallback, ...]:
    """Return the fallbacks with price, output limit and bound; without those that have no price."""
    found: list[Fallback] = []
    for fallback in x.fallbacks:
        price = await prices.find(fallback.model)
        if price is None:
            continue
        limit = output_limit(x, fallback.routes)
        bound = price.bound_nano(input_bound, limit * x.call.choices)
        if bound <= MAX_NANO:
            found.append(replace(fallback, price=price, max_output_tokens=limit, bound_nano=bound))
    return tuple(found)


async def hold_dearest(
    x: Exchange, ledger: Ledger, request: HoldRequest, prices: PriceBook, input_bound: int
) -> Replay | Clamped | None:
    """Hold what the dearest model can cost, or else what the one asked for can, with the fallbacks that this
    covers; writes hold_nano and prices the fallbacks, raises as Ledger.hold does."""
    own = request.amount_nano
    x.fallbacks = await _priced(x, prices, input_bound)
    x.hold_nano = max([own, *(fallback.bound_nano for fallback in x.fallbacks)])
    try:
        return await ledger.hold(msgspec.structs.replace(request, amount_nano=x.hold_nano))
    except (InsufficientFunds, BudgetExceeded):
        if x.hold_nano == own:
            raise
    x.hold_nano = own
    x.fallbacks = tuple(fallback for fallback in x.fallbacks if fallback.bound_nano <= own)
    return await ledger.hold(request)


def clamp(x: Exchange, held_nano: int, own_nano: int, price: Price, input_bound: int) -> int | None:
    """Lower output limits to what was held; writes hold_nano and fallbacks, and clamped_to if the model asked
    for must do with less than its own bound. Returns its new limit then."""
    x.hold_nano = held_nano
    x.fallbacks = _within(x, held_nano, input_bound)
    if held_nano < own_nano:
        x.clamped_to = price.output_within(held_nano, input_bound) // x.call.choices
    return x.clamped_to


def _within(x: Exchange, amount_nano: int, input_bound: int) -> tuple[Fallback, ...]:
    """Return the fallbacks that an amount covers, their output limits lowered to it."""
    found: list[Fallback] = []
    for fallback in x.fallbacks:
        limit = _covered(fallback.price, amount_nano, input_bound) // x.call.choices
        if limit > 0:
            lowered = min(limit, fallback.max_output_tokens)
            found.append(replace(fallback, max_output_tokens=lowered))
    return tuple(found)


def _covered(price: Price | None, amount_nano: int, input_bound: int) -> int:
    """Return how many output tokens an amount covers, 0 if not even the input."""
    if price is None or price.bound_nano(input_bound, 1) > amount_nano:
        return 0
    return price.output_within(amount_nano, input_bound)


def next_after(waiting: Sequence[Fallback], error: PlatformError) -> Fallback | None:
    """Return the next of the models that may still be asked, after this failure; None if none is for it."""
    if isinstance(error, ContextTooLong):
        return next((fallback for fallback in waiting if fallback.if_too_long), None)
    if isinstance(error, UpstreamUnavailable | UpstreamTimeout):
        return next((fallback for fallback in waiting if fallback.if_unavailable), None)
    return None
