"""A price list from a file: checked whole, shown as a dry run, applied in one transaction."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from uuid import UUID

from deepspace.billing.rates import TOKEN_CLASSES, Tier
from deepspace.billing.schemas import PriceBody, PriceChange
from deepspace.billing.service import BillingService, price_from_row
from deepspace.kit.db import Record, Transaction
from deepspace.kit.errors import ValidationFailed
from deepspace.kit.money import decimal_from_nano, decimal_from_price, micro_per_million, nano


def rates_of(per_million: dict[str, str]) -> dict[str, int]:
    """Return decimal prices per million tokens as pico-units per token."""
    return {name: micro_per_million(rate) for name, rate in per_million.items()}


def tiers_of(body: PriceBody) -> tuple[Tier, ...]:
    """Return the tiers of a price."""
    return tuple(Tier(tier.from_input_tokens, rates_of(tier.per_million)) for tier in body.tiers)


def read_csv(text: str) -> list[PriceBody]:
    """Read a list with the columns `model`, `per_call` and token classes; ValidationFailed names the line."""
    rows = csv.DictReader(io.StringIO(text.lstrip("\ufeff")))
    unknown = set(rows.fieldnames or ()) - {"model", "per_call", *TOKEN_CLASSES}
    if unknown or "model" not in (rows.fieldnames or ()):
        raise ValidationFailed(
            f"Columns are model, per_call and token classes; got {rows.fieldnames}.", param="csv"
        )
    found: list[PriceBody] = []
    for number, row in enumerate(rows, 2):
        per_million = {name: row[name].strip() for name in TOKEN_CLASSES if (row.get(name) or "").strip()}
        try:
            found.append(
                PriceBody.model_validate(
                    {
                        "model": row["model"],
                        "per_call": row.get("per_call") or "0",
                        "per_million": per_million,
                    }
                )
            )
        except ValueError as error:
            raise ValidationFailed(f"Line {number} of the price list: {error}", param="csv") from None
    return found


async def apply_price_list(
    tx: Transaction, billing: BillingService, items: Sequence[PriceBody], actor: UUID | None
) -> list[PriceChange]:
    """Publish what differs from the prices in force and return what was done to each model."""
    models = [item.model for item in items]
    twice = {model for model in models if models.count(model) > 1}
    if twice:
        raise ValidationFailed(f"The list has {sorted(twice)[0]!r} more than once.", param="items")
    changes: list[PriceChange] = []
    for item in items:
        current = await billing.current_price(tx, item.model)
        after = _view(item)
        before = _current_view(current)
        if before == after:
            changes.append(PriceChange(model=item.model, action="same", before=before, after=after))
            continue
        await billing.publish_price(
            tx,
            model=item.model,
            rates=rates_of(item.per_million),
            per_call_nano=nano(item.per_call),
            tiers=tiers_of(item),
            effective_at=item.effective_at,
            actor=actor,
        )
        action = "new" if before is None else "change"
        changes.append(PriceChange(model=item.model, action=action, before=before, after=after))
    return changes


def _view(item: PriceBody) -> dict[str, str]:
    rates = {name: decimal_from_price(rate) for name, rate in rates_of(item.per_million).items()}
    return {**rates, "per_call": decimal_from_nano(nano(item.per_call)), "tiers": _tiers(tiers_of(item))}


def _current_view(row: Record | None) -> dict[str, str] | None:
    if row is None:
        return None
    price = price_from_row(row)
    per_call = decimal_from_nano(price.per_call_nano)
    return {**price.per_million(), "per_call": per_call, "tiers": _tiers(price.tiers)}


def _tiers(tiers: Sequence[Tier]) -> str:
    parts = (f"from {tier.from_input_tokens}: {dict(sorted(tier.rates.items()))}" for tier in tiers)
    return "; ".join(parts)
