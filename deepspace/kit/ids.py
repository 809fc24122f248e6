"""Identifiers: UUIDv7 (RFC 9562) for rows, W3C trace ids for calls."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from typing import Any, cast
from uuid import UUID

from asyncpg.pgproto import pgproto

_TRACE_ID = re.compile(r"[0-9a-f]{32}")
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")


fast_uuid: Callable[[bytes | str], UUID] = cast("Any", pgproto).UUID
"""Makes a UUID of 16 bytes or of text. What it makes is a subclass of UUID in C, from the PostgreSQL driver:
equal to any other, and hashed, compared and written without a line of Python. The hot path asks each id for
its hash dozens of times."""


def uuid7() -> UUID:
    """Return a new UUIDv7: 48 bits of Unix milliseconds, then 74 random bits (RFC 9562, section 5.7)."""
    random = bytearray(os.urandom(10))
    random[0] = random[0] & 0x0F | 0x70
    random[2] = random[2] & 0x3F | 0x80
    return fast_uuid((time.time_ns() // 1_000_000).to_bytes(6, "big") + random)


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
