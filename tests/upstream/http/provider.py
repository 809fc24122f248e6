"""A provider on a bare socket: it says exactly the bytes a test gives it, when the test says so."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID

from deepspace.kit.errors import PlatformError
from deepspace.upstream.catalogue import Route, Timeouts
from deepspace.upstream.http.answer import Answer
from deepspace.upstream.http.client import HttpClient

OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


@dataclass(slots=True)
class Talk:
    """One request and what is said to it."""

    number: int
    connection: int
    head: bytes
    body: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def say(self, *pieces: bytes, pause_s: float = 0.0) -> None:
        """Send pieces, each as a packet of its own if there is a pause."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            if pause_s:
                await asyncio.sleep(pause_s)

    def reset(self) -> None:
        """Cut the connection."""
        self.writer.transport.abort()


Behaviour = Callable[[Talk], Awaitable[object]]


@dataclass(slots=True)
class Provider:
    """The server. It keeps connections; a behaviour that wants them closed closes them."""

    behave: Behaviour
    port: int = 0
    tls: bool = False
    connections: int = 0
    requests: list[Talk] = field(default_factory=list[Talk])
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    def route(self, **timeouts: float) -> Route:
        """Return a route here; time-outs of a few seconds unless given."""
        given = {"connect_s": 5.0, "first_byte_s": 5.0, "idle_s": 5.0, "total_s": 20.0, **timeouts}
        scheme = "https" if self.tls else "http"
        return route_to(f"{scheme}://localhost:{self.port}/v1", Timeouts(**given))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.connections += 1
        number = self.connections
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                body = await reader.readexactly(length)
                talk = Talk(len(self.requests) + 1, number, head, body, reader, writer)
                self.requests.append(talk)
                await self.behave(talk)
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            self.gone.set()
        finally:
            writer.close()


def route_to(base_url: str, timeouts: Timeouts, api_key: str | None = "sk-test") -> Route:
    """Return a route."""
    return Route(
        UUID(int=1),
        "test",
        "newapi",
        base_url,
        api_key,
        "m",
        "m",
        None,
        100,
        timeouts,
        "drain",
        datetime.now(UTC),
    )


@asynccontextmanager
async def provider(behave: Behaviour, context: ssl.SSLContext | None = None) -> AsyncIterator[Provider]:
    """Run a provider."""
    made = Provider(behave, tls=context is not None)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=context)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        for talk in made.requests:
            talk.writer.transport.abort()
        server.close()
        await asyncio.sleep(0)


@asynccontextmanager
async def client(context: ssl.SSLContext | None = None, connections: int = 50) -> AsyncIterator[HttpClient]:
    """Run a client."""
    made = HttpClient(context=context, connections=connections)
    try:
        yield made
    finally:
        await made.close()


async def post(made: HttpClient, route: Route, body: bytes = b"{}") -> Answer:
    """Send a request."""
    return await made.post(route, "/chat/completions", body, {"accept": "application/json"})


async def whole(answer: Answer) -> bytes:
    """Read an answer to its end."""
    try:
        return b"".join([chunk async for chunk in answer.chunks()])
    finally:
        await answer.close()


async def until_error(answer: Answer) -> tuple[bytes, PlatformError | None]:
    """Return what can be read of an answer, and what ended it early."""
    found = b""
    try:
        async for chunk in answer.chunks():
            found += chunk
    except PlatformError as error:
        return found, error
    finally:
        await answer.close()
    return found, None


def answering(*pieces: bytes, close: bool = False, pause_s: float = 0.0) -> Behaviour:
    """Return a behaviour that says these bytes, and closes if asked to."""

    async def behave(talk: Talk) -> None:
        await talk.say(*pieces, pause_s=pause_s)
        if close:
            talk.writer.close()

    return behave


def without_key(route: Route) -> Route:
    """Return the route of a channel without a credential."""
    return replace(route, api_key=None)
