"""The money part of a trace: hold, usage, price with its formula, movements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID

from deepspace.billing.rates import Usage
from deepspace.billing.repository import PriceRepository, WalletRepository, orgs_of_trace
from deepspace.billing.service import price_from_row
from deepspace.kit.db import Record, Transaction
from deepspace.kit.money import decimal_from_nano


class MoneyStory:
    """Reads what the books say of a trace."""

    def __init__(self, currency: str) -> None:
        """`currency` is the platform's one currency."""
        self._currency = currency

    async def orgs(self, tx: Transaction, trace_id: str) -> list[UUID]:
        """Return the organisations with calls of this trace; only for operators."""
        return list(await orgs_of_trace(tx, trace_id))

    async def calls(
        self, tx: Transaction, org_id: UUID, trace_id: str, hold_ids: Sequence[UUID]
    ) -> list[dict[str, Any]]:
        """Return the calls named, and the open ones of the trace, in this organisation, newest first."""
        wallets = WalletRepository(tx, org_id)
        return [
            await self._call(tx, wallets, hold) for hold in await wallets.calls_of_trace(trace_id, hold_ids)
        ]

    async def _call(self, tx: Transaction, wallets: WalletRepository, hold: Record) -> dict[str, Any]:
        row = await PriceRepository(tx).price(hold.price_id)
        price = price_from_row(row) if row is not None else None
        usage = usage_from_row(hold) if hold.source is not None else None
        moved = await wallets.transactions_of_hold(hold.id)
        return {
            "billing_ref_id": hold.billing_ref_id,
            "project_id": hold.project_id,
            "state": hold.state,
            "model": hold.model,
            "started_at": hold.created_at,
            "ended_at": hold.settled_at,
            "currency": self._currency,
            "cost": decimal_from_nano(hold.captured_nano) if hold.state == "captured" else None,
            "hold": {
                "amount": decimal_from_nano(hold.amount_nano),
                "state": hold.state,
                "created_at": hold.created_at,
                "settled_at": hold.settled_at,
            },
            "usage": _usage_view(hold, usage) if usage is not None else None,
            "price": None
            if price is None
            else {
                "version_id": price.id,
                "currency": price.currency,
                "per_million": price.per_million(),
                "per_call": decimal_from_nano(price.per_call_nano),
                "formula": price.formula(usage) if usage is not None else None,
            },
            "transactions": [
                _entry(hold.id, "hold", hold.amount_nano, hold.created_at),
                *(_entry(item.id, item.type, item.amount_nano, item.created_at) for item in moved),
                *(
                    [_entry(hold.id, "release", hold.amount_nano, hold.settled_at)]
                    if hold.state in {"released", "expired"}
                    else []
                ),
            ],
        }


def usage_from_row(row: Record) -> Usage:
    """Return the usage a usage record states."""
    return Usage(
        input=row.input_tokens,
        cached_input=row.cached_input_tokens,
        cache_write=row.cache_write_tokens,
        output=row.output_tokens,
        reasoning=row.reasoning_tokens,
        **cast("dict[str, int]", row.other_tokens or {}),
    )


def _usage_view(row: Record, usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input_total,
        "cached_input_tokens": usage.cached_input,
        "output_tokens": usage.output_total,
        "reasoning_tokens": usage.reasoning,
        "by_class": usage.counts(),
        "source": row.source,
    }


def _entry(row_id: UUID, kind: str, amount_nano: int, at: Any) -> dict[str, Any]:
    return {"id": row_id, "type": kind, "amount": decimal_from_nano(amount_nano), "created_at": at}
