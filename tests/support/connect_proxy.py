"""An HTTP proxy on the loopback that opens tunnels (CONNECT) and relays requests with a whole address."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.support.wire_server import wire_server


@dataclass
class ConnectProxy:
    """What it was asked, and what it answers."""

    user: str | None = None
    password: str = ""
    answer: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n"
    port: int = 0
    asked: list[str] = field(default_factory=list[str])
    refused: int = 0

    @property
    def url(self) -> str:
        """Its address, with credentials if it wants them."""
        who = f"{self.user}:{self.password}@" if self.user is not None else ""
        return f"http://{who}127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        ends = [writer]
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
            if not self._knows(head):
                self.refused += 1
                writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
                await writer.drain()
                return
            self.asked.append(f"{method} {target}")
            host, port = target.rsplit(":", 1) if method == "CONNECT" else _place(target)
            there = await asyncio.open_connection(host.strip("[]"), int(port))
            ends.append(there[1])
            if method == "CONNECT":
                writer.write(self.answer)
            else:
                there[1].write(head)
            await asyncio.gather(_pump(reader, there[1]), _pump(there[0], writer))
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            for end in ends:
                end.transport.abort()

    def _knows(self, head: bytes) -> bool:
        if self.user is None:
            return True
        pair = b64encode(f"{self.user}:{self.password}".encode())
        return b"proxy-authorization: basic " + pair.lower() in head.lower()


def _place(target: str) -> tuple[str, str]:
    parts = urlsplit(target)
    return parts.hostname or "", str(parts.port or 80)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    with suppress(OSError):
        writer.close()


@contextmanager
def connect_proxy(user: str | None = None, password: str = "") -> Iterator[ConnectProxy]:
    """Run one on a thread of its own."""
    made = ConnectProxy(user, password)
    with wire_server(made.serve) as made.port:
        yield made
