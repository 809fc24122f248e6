"""The only door to a model: an HTTP client behind a port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Protocol

import aiohttp

from deepspace.upstream.catalogue import Route
from deepspace.upstream.errors import UpstreamTimeout, UpstreamUnavailable


class Response(Protocol):
    """An answer whose head has arrived."""

    status: int
    headers: Mapping[str, str]

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives; UpstreamTimeout or UpstreamUnavailable if it stops short."""
        ...

    def abort(self) -> None:
        """Close the connection at once; a reader waiting in `chunks` fails with UpstreamUnavailable."""
        ...

    async def close(self) -> None:
        """Give the connection back, or close it if the body was not read to its end."""
        ...


class UpstreamClient(Protocol):
    """Sends one request to one channel."""

    async def post(self, route: Route, path: str, body: bytes, headers: Mapping[str, str]) -> Response:
        """Send `body` as JSON to `path` under the channel's base URL and return when the head has come.

        Raises UpstreamUnavailable (nothing was answered) or UpstreamTimeout.
        """
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


class _AiohttpResponse:
    def __init__(self, response: aiohttp.ClientResponse, idle_s: float) -> None:
        self._response = response
        self._idle_s = idle_s
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            while True:
                async with asyncio.timeout(self._idle_s):
                    chunk = await self._response.content.readany()
                if not chunk:
                    return
                yield chunk
        except TimeoutError:
            self.abort()
            raise UpstreamTimeout(f"The provider sent nothing for {self._idle_s:g} s.") from None
        except (aiohttp.ClientError, OSError) as error:
            self.abort()
            raise UpstreamUnavailable(
                "The connection to the provider broke before the answer's end."
            ) from error

    def abort(self) -> None:
        self._response.close()

    async def close(self) -> None:
        if not self._response.content.at_eof():
            self._response.close()
        else:
            self._response.release()


class AiohttpClient:
    """UpstreamClient on aiohttp. Environment proxies are ignored and redirects are not followed."""

    def __init__(self, *, connections: int = 1000) -> None:
        """At most `connections` at a time; the session opens with the first call."""
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def post(self, route: Route, path: str, body: bytes, headers: Mapping[str, str]) -> Response:
        """Send a request; see UpstreamClient.post."""
        sent = {"content-type": "application/json", **headers}
        if route.api_key is not None:
            sent["authorization"] = f"Bearer {route.api_key}"
        limits = aiohttp.ClientTimeout(
            total=route.timeouts.total_s,
            sock_connect=route.timeouts.connect_s,
            connect=route.timeouts.connect_s,
        )
        url = f"{route.base_url.rstrip('/')}{path}"
        try:
            async with asyncio.timeout(route.timeouts.first_byte_s):
                response = await self._opened().post(
                    url, data=body, headers=sent, timeout=limits, allow_redirects=False
                )
        except aiohttp.ConnectionTimeoutError as error:
            raise UpstreamUnavailable("The provider could not be reached in time.") from error
        except TimeoutError as error:
            raise UpstreamTimeout from error
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamUnavailable("The provider could not be reached.") from error
        return _AiohttpResponse(response, route.timeouts.idle_s)

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=self._connections, ttl_dns_cache=30)
            self._session = aiohttp.ClientSession(
                connector=connector,
                trust_env=False,
                auto_decompress=True,
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("user-agent",),
                headers={"user-agent": "deepspace-gateway", "accept-encoding": "identity"},
            )
        return self._session
