"""Payment events: the port that payment providers, or a bridge to one, call.

Signed as Standard Webhooks says (standardwebhooks.com, specification 1.0): HMAC-SHA256 over
`id.timestamp.body` under a secret `whsec_<base64>`; an event older or newer than five minutes is refused;
its id counts once.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass
from datetime import datetime

from deepspace.billing.errors import WebhookRefused
from deepspace.kit.crypto import hmac_sha256

WINDOW_S = 300


@dataclass(frozen=True, slots=True)
class PaymentSecret:
    """The secret shared with the payment provider; None if there is none."""

    value: str | None


def verify(secret: str, event_id: str, timestamp: str, signatures: str, body: bytes, now: datetime) -> None:
    """Raise WebhookRefused unless one of the space-separated `v1,<base64>` signatures fits and the time is
    near."""
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        sent_at = int(timestamp)
    except (binascii.Error, ValueError):
        raise WebhookRefused from None
    if not event_id or len(event_id) > 200 or abs(int(now.timestamp()) - sent_at) > WINDOW_S:
        raise WebhookRefused("The event's id or time is not acceptable.")
    expected = hmac_sha256(key, f"{event_id}.{timestamp}.".encode() + body)
    for signature in signatures.split():
        version, _, text = signature.partition(",")
        try:
            given = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            continue
        if version == "v1" and hmac.compare_digest(given, expected):
            return
    raise WebhookRefused
