"""budget_hold: set aside the most this call can cost. Nothing is sent before the hold is committed."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from uuid import UUID

from deepspace.billing.budgets import BudgetBook, Scope
from deepspace.billing.errors import AnswerNotKept
from deepspace.billing.ledger import Clamped, HoldRequest, Ledger, Replay
from deepspace.billing.rates import Price
from deepspace.billing.service import PriceBook
from deepspace.kit.errors import ValidationFailed
from deepspace.kit.ids import uuid7
from deepspace.kit.money import MAX_NANO, decimal_from_nano
from deepspace.pipeline.exchange import Exchange
from deepspace.pipeline.fallbacks import clamp, hold_dearest, output_limit
from deepspace.upstream.catalogue import Dialect
from deepspace.upstream.wire import estimate_tokens

TEMPLATE_TOKENS = 512
"""Tokens a chat template may add that are in no byte of the request: a default system prompt, tool
preambles."""


MEDIA_TOKENS = 50_000
"""Most input tokens that an image, a file or audio named in a request comes to with any provider known."""

_MEDIA_MARKS: Mapping[Dialect, tuple[bytes, ...]] = MappingProxyType(
    {
        "openai": (b'"image_url"', b'"input_audio"', b'"file"'),
        "anthropic": (b'"image"', b'"document"', b'"container_upload"', b'"web_search_', b'"web_fetch_'),
        "responses": (b'"input_image"', b'"input_file"', b'"input_audio"'),
        "completions": (),
    }
)

TOOLS_TOKENS = 1024
"""Tokens a provider may add of its own when tools are offered: Anthropic states up to 804."""


_ESCAPED = re.compile(rb"\\u00([2-7][0-9a-fA-F])")


def _unescaped(found: re.Match[bytes]) -> bytes:
    return bytes([int(found[1], 16)])


def input_bound(body: bytes, dialect: Dialect = "openai") -> int:
    """Return an upper bound of the input tokens of a request.

    A byte-level tokenizer makes at most one token of a UTF-8 byte, and the JSON around a text is longer than
    the marks a chat template puts there; what a template adds on its own is bounded by TEMPLATE_TOKENS. Media
    may stand elsewhere and only be named in the body: each mention counts MEDIA_TOKENS, however it is spelt.
    """
    spelt = _ESCAPED.sub(_unescaped, body) if b"\\u00" in body else body
    media = sum([spelt.count(mark) for mark in _MEDIA_MARKS[dialect]])
    tools = TOOLS_TOKENS if b'"tools"' in spelt else 0
    return len(body) + TEMPLATE_TOKENS + tools + media * MEDIA_TOKENS


def _subjects(org_id: UUID, x: Exchange, key_id: UUID | None) -> Sequence[tuple[Scope, UUID | None]]:
    """Return whose budgets a call draws on."""
    user_id = x.principal.user_id if x.principal is not None else None
    return (("organization", org_id), ("project", x.project_id), ("user", user_id), ("api_key", key_id))


def _bounds(x: Exchange, price: Price) -> tuple[int, int]:
    """Return the most input and output tokens of a call; writes estimated_input_tokens."""
    operation = x.call.operation
    if operation is None:
        bound = input_bound(x.call.body, x.call.dialect)
        x.estimated_input_tokens = min(estimate_tokens(x.call.body.decode(errors="replace")), bound)
        return bound, output_limit(x, x.routes)
    operation.demand(price)
    bound, max_output = operation.bounds(x.routes)
    x.estimated_input_tokens = min(operation.counted.input_total, bound)
    return bound, max_output


class BudgetHold:
    """Prices the worst case and holds it."""

    name = "budget_hold"

    def __init__(self, prices: PriceBook, budgets: BudgetBook, ledger: Ledger, hold_ttl_s: float) -> None:
        """Hold on this ledger, at these prices. The ledger renews a hold while its call is under way."""
        self._prices = prices
        self._budgets = budgets
        self._ledger = ledger
        self._hold_ttl_s = hold_ttl_s

    async def __call__(self, x: Exchange) -> None:
        """Write price, the output bound and the hold; refuse without a price (409) or without funds (402)."""
        start = x.clock.monotonic_ns()
        if x.principal is None or x.org_id is None:
            raise RuntimeError("budget_hold stands behind auth")
        price = await self._prices.require(x.call.model)
        operation = x.call.operation
        bound, max_output = _bounds(x, price)
        amount = x.hold_nano = price.bound_nano(bound, max_output * x.call.choices)
        if amount > MAX_NANO:
            raise ValidationFailed("The request is larger than any wallet can hold.", param="max_tokens")
        key_id = x.principal.key.id if x.principal.key is not None else None
        budget_ids = await self._budgets.applying(x.org_id, _subjects(x.org_id, x, key_id))
        hold_id = uuid7()
        billing_ref_id = x.reference or f"br_{hold_id.hex}"
        fingerprint = x.call.body if operation is None else operation.fingerprint or x.call.body
        request = HoldRequest(
            id=hold_id,
            org_id=x.org_id,
            project_id=x.project_id,
            user_id=x.principal.user_id,
            api_key_id=key_id,
            billing_ref_id=billing_ref_id,
            trace_id=x.trace_id,
            request_hash=hashlib.sha256(x.path.encode() + b"\0" + fingerprint).digest(),
            model=x.call.model,
            price_id=price.id,
            amount_nano=amount,
            ttl_s=self._hold_ttl_s,
            estimated_input_tokens=x.estimated_input_tokens,
            reference_given=x.reference is not None,
            at_least_nano=price.bound_nano(bound, x.call.choices) if x.clamp and operation is None else None,
            budget_ids=budget_ids,
        )
        try:
            held = await (
                hold_dearest(x, self._ledger, request, self._prices, bound)
                if x.fallbacks
                else self._ledger.hold(request)
            )
        except asyncio.CancelledError:
            x.price, x.hold_id = price, hold_id  # given back, should it stand
            raise
        x.billing_ref_id = billing_ref_id
        if isinstance(held, Replay):
            if held.answer is None:
                raise AnswerNotKept
            x.replay, x.cost_nano = held, held.captured_nano
            x.note(self.name, "billing.replayed", hold_id=str(held.hold_id))
            return
        if isinstance(held, Clamped):
            max_output = clamp(x, held.amount_nano, amount, price, bound) or max_output
        x.price, x.hold_id, x.max_output_tokens = price, hold_id, max_output
        x.kept = [] if x.reference is not None and x.call.stream else None
        x.note(
            self.name,
            "billing.held",
            duration_ns=x.clock.monotonic_ns() - start,
            amount=decimal_from_nano(x.hold_nano),
            price_version=price.id,
            max_output_tokens=max_output,
        )
