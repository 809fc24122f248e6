"""The two exchanges that are measured, and what every party must say, to the byte.

The answers are made here with the standard library alone, so that a fault of the gateway's own JSON or price
arithmetic cannot hide in the expectation.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

MODEL = "bench"
PER_MILLION = {"input": "0.5", "output": "2"}
CHUNKS = 20
USAGE = {"prompt_tokens": 12, "completion_tokens": CHUNKS, "total_tokens": 12 + CHUNKS}

COST = (Decimal(PER_MILLION["input"]) * 12 + Decimal(PER_MILLION["output"]) * CHUNKS) / 1_000_000
"""12 × 0.5/M + 20 × 2/M = 0.000046: exact, nothing to round."""


def _bytes(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _event(value: Any) -> bytes:
    return b"data: " + _bytes(value) + b"\n\n"


def _chunk(choices: list[Any], **more: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-bench",
        "object": "chat.completion.chunk",
        "created": 1_790_000_000,
        "model": MODEL,
        "choices": choices,
        **more,
    }


def _whole(usage: dict[str, Any]) -> bytes:
    message = {"role": "assistant", "content": "word " * CHUNKS}
    return _bytes(
        {
            "id": "chatcmpl-bench",
            "object": "chat.completion",
            "created": 1_790_000_000,
            "model": MODEL,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": usage,
        }
    )


_CHARGED = {**USAGE, "cost": f"{COST:f}", "currency": "USD"}
_WORDS = tuple(
    _event(_chunk([{"index": 0, "delta": {"content": "word "}, "finish_reason": "stop" if last else None}]))
    for last in (*[False] * (CHUNKS - 1), True)
)
_DONE = b"data: [DONE]\n\n"

UPSTREAM_JSON = _whole(USAGE)
UPSTREAM_EVENTS = (*_WORDS, _event(_chunk([], usage=USAGE)), _DONE)


@dataclass(frozen=True, slots=True)
class Exchange:
    """One kind of call: what is sent, what the provider says, what the gateway must make of it."""

    name: str
    body: bytes
    from_upstream: bytes
    from_gateway: bytes


def _request(**more: Any) -> bytes:
    messages = [{"role": "user", "content": "Say the word twenty times, please."}]
    return _bytes({"model": MODEL, "messages": messages, "max_tokens": 64, **more})


JSON = Exchange("json", _request(), UPSTREAM_JSON, _whole(_CHARGED))
SSE = Exchange(
    "sse",
    _request(stream=True, stream_options={"include_usage": True}),
    b"".join(UPSTREAM_EVENTS),
    b"".join((*_WORDS, _event(_chunk([], usage=_CHARGED)), _DONE)),
)
SLOW_MARK = b'"user":"slow"'
"""A request with it gets an event every SLOW_EVERY_S."""

SLOW_EVERY_S = 0.5
SLOW = Exchange(
    "slow",
    _request(stream=True, stream_options={"include_usage": True}, user="slow"),
    SSE.from_upstream,
    SSE.from_gateway,
)
