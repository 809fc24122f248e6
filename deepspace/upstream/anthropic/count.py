"""Asking an Anthropic channel how many tokens a request has. Providers do not charge for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from deepspace.upstream.anthropic.native import native_count
from deepspace.upstream.catalogue import Route
from deepspace.upstream.client import UpstreamClient
from deepspace.upstream.errors import UpstreamError, UpstreamUnavailable
from deepspace.upstream.wire import error_message, rejected

MAX_BYTES = 64 * 1024


class _Count(msgspec.Struct):
    input_tokens: int


async def count_tokens(
    client: UpstreamClient, route: Route, fields: Mapping[str, Any], headers: Mapping[str, str]
) -> int:
    """Return the provider's count; UpstreamRejected if it finds the request at fault, another PlatformError
    if it cannot tell."""
    body = msgspec.json.encode(native_count(fields, model=route.upstream_model))
    sent = {**dict(route.extra_headers), **headers, "accept": "application/json"}
    response = await client.post(route, "/messages/count_tokens", body, sent)
    payload = b""
    try:
        async for chunk in response.chunks():
            payload += chunk
            if len(payload) > MAX_BYTES:
                break
    finally:
        await response.close()
    if response.status in {400, 413, 422}:
        raise rejected(response.status, payload)
    if response.status != 200:
        raise UpstreamUnavailable(f"The provider answered {response.status}: {error_message(payload)}")
    try:
        return msgspec.json.decode(payload, type=_Count).input_tokens
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise UpstreamError("The provider's answer is not a count of tokens.") from None
