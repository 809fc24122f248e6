"""Small questions to a provider beside calls: its models, its usage report. Never on the path of a call."""

from __future__ import annotations

from collections.abc import Mapping

import aiohttp

from deepspace.upstream.errors import UpstreamError

MAX_BYTES = 16 * 1024 * 1024
TIMEOUT_S = 30


async def fetch(
    what: str,
    url: str,
    headers: Mapping[str, str],
    query: Mapping[str, str] | None = None,
    *,
    proxy: str | None = None,
) -> bytes:
    """Return the body of a GET that is answered 200; UpstreamError, naming `what` was asked for, otherwise.

    `proxy` is the channel's. Redirects are not followed and environment proxies not used.
    """
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=headers, trust_env=False) as session,
            session.get(url, params=query, allow_redirects=False, proxy=proxy) as response,
        ):
            body = await response.content.read(MAX_BYTES + 1)
            status = response.status
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        raise UpstreamError(f"The provider's {what} could not be fetched.") from error
    if status != 200:
        raise UpstreamError(f"The provider answered {status} to the request for its {what}.")
    if len(body) > MAX_BYTES:
        raise UpstreamError(f"The provider's {what} is too large.")
    return body
