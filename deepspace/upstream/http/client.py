"""UpstreamClient over the pool."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping

from deepspace.upstream.catalogue import Route
from deepspace.upstream.errors import UpstreamTimeout, UpstreamUnavailable
from deepspace.upstream.http.answer import Answer
from deepspace.upstream.http.connection import Connection
from deepspace.upstream.http.dialling import Dialler
from deepspace.upstream.http.head import Origin, head_of, origin_of, request
from deepspace.upstream.http.pool import Pool

MAX_HEADS = 1000


class HttpClient:
    """The door to the models: HTTP/1.1 with kept connections.

    Redirects are not followed, the environment's proxies not used, and no request is sent twice (see the
    package's own words).
    """

    def __init__(self, *, connections: int = 4000, context: ssl.SSLContext | None = None) -> None:
        """At most `connections` at a time. `context` is for TLS; the system's authorities if it is None."""
        self._pool = Pool(Dialler(context), connections)
        self._heads: dict[tuple[str, str, str | None, str | None, bool], tuple[Origin, bytes]] = {}

    async def post(self, route: Route, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send a request; see UpstreamClient.post."""
        loop = asyncio.get_running_loop()
        answer = Answer(loop, route.timeouts, loop.time())
        origin, head = self._head(route, path, is_json="content-type" not in headers)
        sent = request(head, headers, body)
        connection = self._pool.kept(origin) or await self._open(origin, route)
        connection.send(sent, answer)
        try:
            await answer.head()
        except BaseException:
            answer.abort()
            raise
        return answer

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.close()

    async def _open(self, origin: Origin, route: Route) -> Connection:
        patience_s = min(route.timeouts.connect_s, route.timeouts.first_byte_s, route.timeouts.total_s)
        try:
            async with asyncio.timeout(patience_s):
                return await self._pool.open(origin)
        except TimeoutError as error:
            if patience_s < route.timeouts.connect_s:
                raise UpstreamTimeout from error
            raise UpstreamUnavailable("The provider could not be reached in time.") from error
        except OSError as error:
            raise UpstreamUnavailable("The provider could not be reached.") from error

    def _head(self, route: Route, path: str, *, is_json: bool) -> tuple[Origin, bytes]:
        key = (route.base_url, path, route.api_key, route.proxy, is_json)
        found = self._heads.get(key)
        if found is None:
            if len(self._heads) >= MAX_HEADS:
                self._heads.clear()
            found = self._heads[key] = (
                origin_of(route.base_url, route.proxy),
                head_of(route.base_url, path, route.api_key, is_json=is_json),
            )
        return found
