"""Opening connections: names, addresses, TLS. The environment's proxies are not looked at."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from socket import SOCK_STREAM, socket
from typing import Any, cast

import aiohappyeyeballs

from deepspace.upstream.http.connection import Connection, Owner
from deepspace.upstream.http.head import Origin, connect_request

ADDRESSES_KEPT_S = 30.0
SECOND_ADDRESS_AFTER_S = 0.25
"""When the next address is tried beside one that does not answer (RFC 8305, 8)."""

MAX_NAMES = 1000
MAX_TUNNEL_HEAD_BYTES = 16 * 1024

AddressInfo = tuple[Any, ...]

_start_connection: Any = cast("Any", aiohappyeyeballs).start_connection  # only partly typed


def verifying_context() -> ssl.SSLContext:
    """Return a TLS context that checks the certificate's chain and name against the system's authorities."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


class Dialler:
    """Opens connections; remembers the addresses of a name for ADDRESSES_KEPT_S."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        """Use this TLS context for https; `verifying_context` if it is None."""
        self._context = context
        self._addresses: dict[tuple[str, int], tuple[float, Sequence[AddressInfo]]] = {}

    async def dial(self, origin: Origin, owner: Owner) -> Connection:
        """Open a connection; OSError (which TLS errors are, too) if that fails. Bounded by the caller."""
        loop = asyncio.get_running_loop()
        via = origin.proxy or origin
        addresses = await self._resolve(loop, via.host, via.port)
        sock: socket = await _start_connection(
            addresses, happy_eyeballs_delay=SECOND_ADDRESS_AFTER_S, interleave=1, loop=loop
        )
        try:
            if origin.proxy is not None:
                await _open_tunnel(loop, sock, connect_request(origin, origin.proxy))
            _, connection = await loop.create_connection(
                lambda: Connection(owner, origin),
                sock=sock,
                ssl=self._tls() if origin.tls else None,
                server_hostname=origin.host if origin.tls else None,
            )
        except BaseException:
            sock.close()
            raise
        return connection

    def _tls(self) -> ssl.SSLContext:
        self._context = self._context or verifying_context()
        return self._context

    async def _resolve(self, loop: asyncio.AbstractEventLoop, host: str, port: int) -> Sequence[AddressInfo]:
        key, now = (host, port), loop.time()
        known = self._addresses.get(key)
        if known is not None and now - known[0] < ADDRESSES_KEPT_S:
            return known[1]
        found = await loop.getaddrinfo(host, port, type=SOCK_STREAM)
        if len(self._addresses) >= MAX_NAMES:
            self._addresses.clear()
        self._addresses[key] = (now, found)
        return found


async def _open_tunnel(loop: asyncio.AbstractEventLoop, sock: socket, request: bytes) -> None:
    """Ask a proxy for a tunnel; ConnectionError if it opens none. What comes through it is the provider's: a
    proxy that says more than its head is not trusted with it."""
    await loop.sock_sendall(sock, request)
    head = b""
    while b"\r\n\r\n" not in head:
        piece = await loop.sock_recv(sock, 4096)
        head += piece
        if not piece or len(head) > MAX_TUNNEL_HEAD_BYTES:
            raise ConnectionError("the proxy's answer is not HTTP")
    status = head.split(b" ", 2)[1:2]
    if not head.startswith(b"HTTP/1.") or not status or not status[0].startswith(b"2"):
        raise ConnectionError("the proxy opens no tunnel")
    if len(head) > head.index(b"\r\n\r\n") + 4:
        raise ConnectionError("the proxy speaks before it is asked")
