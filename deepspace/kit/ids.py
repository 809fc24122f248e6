"""Identifiers: UUIDv7 (RFC 9562) for rows, W3C trace ids for calls."""

from __future__ import annotations

import os
import re
import time
from uuid import UUID

_TRACE_ID = re.compile(r"[0-9a-f]{32}")
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")


def uuid7() -> UUID:
    """Return a new UUIDv7: 48 bits of Unix milliseconds, then 74 random bits (RFC 9562, section 5.7)."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds << 80) | int.from_bytes(os.urandom(10), "big")
    value = (value & ~(0xF << 76)) | (0x7 << 76)
    value = (value & ~(0x3 << 62)) | (0x2 << 62)
    return UUID(int=value)


def new_trace_id() -> str:
    """Return 32 random lower-case hex digits, never all zero (W3C Trace Context, section 3.2.2.3)."""
    return os.urandom(16).hex()


def trace_id_from(traceparent: str | None) -> str | None:
    """Return the trace id of an incoming `traceparent` header, or None if it is absent or malformed."""
    match = _TRACEPARENT.fullmatch(traceparent or "")
    if match is None:
        return None
    version, trace_id, parent_id, more = match.groups()
    if version == "ff" or (version == "00" and more) or not trace_id.strip("0") or not parent_id.strip("0"):
        return None
    return trace_id


def is_trace_id(text: str) -> bool:
    """Tell whether `text` has the form of a trace id: 32 lower-case hex digits."""
    return _TRACE_ID.fullmatch(text) is not None


def parse_uuid(text: str) -> UUID | None:
    """Return the UUID that `text` spells, or None: path parameters answer 404, not 500."""
    try:
        return UUID(text)
    except ValueError:
        return None
