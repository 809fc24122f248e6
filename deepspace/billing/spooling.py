"""Settlements as lines of text and back."""

from __future__ import annotations

import base64
from typing import Any
from uuid import UUID

import msgspec

from deepspace.billing.ledger import Capture, Journal, Release, StoredAnswer
from deepspace.billing.rates import Usage


def encode(op: Capture | Release, journal: Journal) -> str:
    """Return a settlement as one line of JSON."""
    fields: dict[str, Any] = {
        "op": "capture" if isinstance(op, Capture) else "release",
        "org_id": str(op.org_id),
        "hold_id": str(op.hold_id),
        "journal": [journal.encode(row) for row in op.journal],
    }
    if isinstance(op, Capture):
        fields |= {
            "usage": msgspec.structs.asdict(op.usage),
            "cost_nano": op.cost_nano,
            "source": op.source,
            "channel_id": str(op.channel_id) if op.channel_id is not None else None,
        }
        if op.answer is not None:
            body = base64.b64encode(op.answer.body).decode()
            fields["answer"] = [op.answer.status, op.answer.content_type, body]
    elif op.expired:
        fields["expired"] = True
    return msgspec.json.encode(fields).decode()


def decode(line: str, journal: Journal) -> Capture | Release:
    """Return the settlement that `encode` wrote."""
    fields: dict[str, Any] = msgspec.json.decode(line)
    org_id, hold_id = UUID(fields["org_id"]), UUID(fields["hold_id"])
    rows = tuple(journal.decode(row) for row in fields["journal"])
    if fields["op"] == "release":
        return Release(org_id, hold_id, rows, fields.get("expired", False))
    answer = fields.get("answer")
    return Capture(
        org_id=org_id,
        hold_id=hold_id,
        usage=Usage(**fields["usage"]),
        cost_nano=fields["cost_nano"],
        source=fields["source"],
        channel_id=UUID(fields["channel_id"]) if fields["channel_id"] is not None else None,
        journal=rows,
        answer=StoredAnswer(answer[0], answer[1], base64.b64decode(answer[2]))
        if answer is not None
        else None,
    )
