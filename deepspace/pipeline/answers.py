"""Keeping the answer of a call that has a reference of the client's, so that a retry gets the same one."""

from __future__ import annotations

from deepspace.billing.ledger import StoredAnswer
from deepspace.pipeline.exchange import Exchange

MAX_KEPT_BYTES = 4 * 1024 * 1024


def keep(x: Exchange, frame: bytes) -> None:
    """Remember a frame of a stream; an answer over MAX_KEPT_BYTES is not kept at all."""
    if x.kept is None:
        return
    x.kept.append(frame)
    if sum(map(len, x.kept)) > MAX_KEPT_BYTES:
        x.kept = None


def answer_to_keep(x: Exchange) -> StoredAnswer | None:
    """Return the complete answer as the client gets it; None if it is not to be kept, or too large."""
    if x.reference is None:
        return None
    if x.call.stream:
        if x.kept is None:
            return None
        if x.error is not None and x.content_type is not None:
            return None  # bytes that broke off; in their form nothing says so
        body = b"".join(x.kept) + x.encoder.tail(x, x.error)
        return StoredAnswer(200, x.content_type or "text/event-stream; charset=utf-8", body)
    if x.error is not None:
        return StoredAnswer(x.error.status, x.encoder.content_type, x.encoder.error(x, x.error))
    body = x.encoder.whole(x)
    content_type = x.content_type or x.encoder.content_type
    return StoredAnswer(200, content_type, body) if len(body) <= MAX_KEPT_BYTES else None
