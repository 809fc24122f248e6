"""Receipts: what a call cost and why, signed, so that anybody can check it without this server.

The signature is Ed25519 (RFC 8032) over the receipt as canonical JSON: keys sorted, no spaces, UTF-8.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from deepspace.billing.moves_repository import MovesRepository
from deepspace.billing.rates import Price, Tier, Usage
from deepspace.billing.repository import PriceRepository, WalletRepository
from deepspace.billing.service import price_from_row
from deepspace.billing.story import usage_from_row
from deepspace.kit.db import Transaction
from deepspace.kit.errors import NotFound
from deepspace.kit.money import decimal_from_nano


class ReceiptWrong(Exception):
    """A receipt that does not prove what it says; the message says what is wrong."""


def canonical(receipt: dict[str, Any]) -> bytes:
    """Return the bytes that are signed."""
    return json.dumps(receipt, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


class ReceiptService:
    """Issues receipts under the installation's key."""

    def __init__(self, seed: bytes, currency: str) -> None:
        """`seed` is the 32-byte private key."""
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self._public = self._key.public_key().public_bytes_raw()
        self._currency = currency

    async def receipt(self, tx: Transaction, org_id: UUID, billing_ref_id: str) -> dict[str, Any]:
        """Return the signed receipt of a captured call; NotFound if there is none."""
        found = await MovesRepository(tx).captured_holds(billing_ref_id, org_id)
        rows = await WalletRepository(tx, org_id).calls_of_trace("", [hold.id for hold in found])
        if not rows:
            raise NotFound("There is no captured call with this reference.")
        hold = rows[0]
        row = await PriceRepository(tx).price(hold.price_id)
        if row is None:
            raise NotFound
        price, usage = price_from_row(row), usage_from_row(hold)
        receipt = {
            "version": 1,
            "billing_ref_id": hold.billing_ref_id,
            "organization_id": str(org_id),
            "trace_id": hold.trace_id,
            "model": hold.model,
            "currency": self._currency,
            "tokens": usage.counts(),
            "tokens_source": hold.source,
            "price": _price_view(price),
            "formula": price.formula(usage),
            "cost": decimal_from_nano(hold.cost_nano),
            "captured": decimal_from_nano(hold.captured_nano),
            "absorbed": decimal_from_nano(hold.cost_nano - hold.captured_nano),
            "refunded": decimal_from_nano(hold.refunded_nano),
            "held": decimal_from_nano(hold.amount_nano),
            "held_at": hold.created_at.isoformat(),
            "captured_at": hold.settled_at.isoformat(),
        }
        return {
            "receipt": receipt,
            "algorithm": "Ed25519",
            "key_id": hashlib.sha256(self._public).hexdigest()[:16],
            "public_key": base64.b64encode(self._public).decode(),
            "signature": base64.b64encode(self._key.sign(canonical(receipt))).decode(),
        }


def _price_view(price: Price) -> dict[str, Any]:
    return {
        "version_id": price.id,
        "micro_per_million": dict(price.rates),
        "per_call_nano": price.per_call_nano,
        "tiers": [
            {"from_input_tokens": tier.from_input_tokens, "micro_per_million": dict(tier.rates)}
            for tier in price.tiers
        ],
    }


def verify_receipt(document: dict[str, Any], public_key: str | None = None) -> str:
    """Check a receipt offline: its signature, and its sum from tokens and price. Returns a sentence; or
    ReceiptWrong.

    `public_key` is the installation's key from a trusted place; without it the receipt's own is used, which
    shows only that nothing was changed since it was signed by whoever holds that key.
    """
    try:
        receipt: dict[str, Any] = document["receipt"]
        key = base64.b64decode(public_key or document["public_key"], validate=True)
        signature = base64.b64decode(document["signature"], validate=True)
        Ed25519PublicKey.from_public_bytes(key).verify(signature, canonical(receipt))
        cost = _price_of(receipt).cost_nano(Usage(**receipt["tokens"]))
    except InvalidSignature:
        raise ReceiptWrong(
            "the signature does not fit: the receipt was changed, or the key is another"
        ) from None
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise ReceiptWrong(f"this is not a receipt: {error!r}") from None
    if decimal_from_nano(cost) != receipt["cost"]:
        raise ReceiptWrong(f"tokens and price come to {decimal_from_nano(cost)}, not {receipt['cost']}")
    return f"{receipt['billing_ref_id']}: {receipt['formula']} {receipt['currency']}, signature good"


def _price_of(receipt: dict[str, Any]) -> Price:
    price = receipt["price"]
    tiers = tuple(Tier(tier["from_input_tokens"], tier["micro_per_million"]) for tier in price["tiers"])
    return Price(
        price["version_id"],
        receipt["model"],
        receipt["currency"],
        price["micro_per_million"],
        price["per_call_nano"],
        tiers,
    )
