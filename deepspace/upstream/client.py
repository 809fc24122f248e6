"""The only door to a model: a port. http/client.py is what stands behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from deepspace.upstream.catalogue import Route


class Response(Protocol):
    """An answer whose head has arrived."""

    @property
    def status(self) -> int:
        """The status code; never an interim one."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The header fields by lower-case name."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives; UpstreamTimeout or UpstreamUnavailable if it stops short or is not
        HTTP, UpstreamError if it is too large, or compressed in a way that cannot be undone."""
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
        """Send `body` to `path` under the channel's base URL and return when the head has come. It is JSON
        unless `headers` have a `content-type`.

        Raises UpstreamUnavailable (nothing that is HTTP was answered) or UpstreamTimeout.
        """
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...
