"""F7: providers that answer in every wrong way. The client gets an answer or a documented error, in time; the
call is settled in the right class; the connection is given up."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from tests.chaos.books import LONG
from tests.support.live import Live, Tenant
from tests.support.wire_server import wire_server

pytestmark = pytest.mark.timeout(300 if LONG else 60)

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
DONE = b"data: [DONE]\n\n"
TIMEOUTS = {"connect_s": 1, "first_byte_s": 1, "idle_s": 1, "total_s": 4}

Write = Callable[[bytes], Awaitable[None]]


def said(text: str, **more: Any) -> bytes:
    """Return an event that says a text."""
    chunk = {"id": "c", "choices": [{"index": 0, "delta": {"content": text}}], **more}
    return b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n"


def used(asked: int, told: int) -> bytes:
    """Return the event that states usage."""
    usage = {"prompt_tokens": asked, "completion_tokens": told, "total_tokens": asked + told}
    return b"data: " + json.dumps({"id": "c", "choices": [], "usage": usage}).encode() + b"\n\n"


END = b'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'


async def drip(write: Write) -> None:
    """One byte at a time, none of them late."""
    for byte in HEAD + said("héllo 世界") + END + used(5, 3) + DONE:
        await write(bytes([byte]))


async def no_newline(write: Write) -> None:
    """The last event lacks its end."""
    await write(HEAD + said("héllo 世界") + END + used(5, 3).rstrip(b"\n"))


async def twice(write: Write) -> None:
    """Usage is stated twice: the last counts."""
    await write(HEAD + said("héllo 世界") + used(1, 1) + END + used(5, 3) + DONE)


async def too_little(write: Write) -> None:
    """Usage is less than what was delivered: what the provider states counts."""
    await write(HEAD + said("héllo 世界 " * 50) + END + used(5, 3) + DONE)


async def negative(write: Write) -> None:
    """Negative tokens are no usage: what was delivered is counted."""
    await write(HEAD + said("héllo 世界") + END + used(-5, 3) + DONE)


async def comments(write: Write) -> None:
    """Comments, an empty event and CRLF between."""
    body = b": hi\r\n\r\n\r\n" + said("héllo 世界") + b"retry: 5\r\n\r\n" + END + used(5, 3) + DONE
    await write(HEAD + body)


async def huge_event(write: Write) -> None:
    """An event that does not end: 50 MB."""
    await write(HEAD + said("héllo 世界"))
    await asyncio.sleep(0.05)
    await write(b"data: ")
    for _ in range(800):
        await write(b"x" * 65536)


async def endless_head(write: Write) -> None:
    """A head that does not end."""
    await write(b"HTTP/1.1 200 OK\r\n")
    for _ in range(100):
        await write(b"x-filler: " + b"y" * 8000 + b"\r\n")
    await asyncio.sleep(5)


async def nothing(write: Write) -> None:
    """The connection is closed without a word."""


async def no_http(write: Write) -> None:
    """Something that is not HTTP."""
    await write(b"SSH-2.0-OpenSSH_9.6\r\n")


async def trickle(write: Write) -> None:
    """A byte each 0.3 s, for ever: only the whole time ends it."""
    await write(HEAD)
    for byte in said("héllo 世界" * 50):
        await write(bytes([byte]))
        await asyncio.sleep(0.3)


async def empty(write: Write) -> None:
    """A stream without an event."""
    await write(HEAD)


async def cut_in_a_character(write: Write) -> None:
    """The connection ends in the middle of a character."""
    await write(HEAD + said("héllo 世界"))
    await asyncio.sleep(0.05)
    await write(b'data: {"choices":[{"index":0,"delta":{"content":"\xe4\xb8')


async def early_reset(write: Write) -> None:
    """Marked for a reset by the server below."""
    raise ConnectionResetError


WHOLE = {
    "drip": drip,
    "no_newline": no_newline,
    "twice": twice,
    "too_little": too_little,
    "comments": comments,
}
COUNTED = {"negative": negative}
BROKEN_LATE = {
    "huge_event": (huge_event, "upstream_error"),
    "cut_in_a_character": (cut_in_a_character, "upstream"),
}
BROKEN_EARLY = {
    "endless_head": (endless_head, 503),
    "nothing": (nothing, 503),
    "no_http": (no_http, 503),
    "early_reset": (early_reset, 503),
    "trickle": (trickle, 504),
    "empty": (empty, 502),
}
ALL: dict[str, Callable[[Write], Awaitable[None]]] = {
    **WHOLE,
    **COUNTED,
    **{name: act for name, (act, _) in (BROKEN_LATE | BROKEN_EARLY).items()},
}


@dataclass
class BadProvider:
    """A server that behaves as the model's name says."""

    port: int = 0
    open: int = 0
    tries: list[str] = field(default_factory=list[str])

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one request."""
        self.open += 1
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head.lower())
            body = json.loads(await reader.readexactly(int(length[1]) if length else 0))
            self.tries.append(body["model"])

            async def write(data: bytes) -> None:
                writer.write(data)
                await writer.drain()

            await ALL[body["model"]](write)
        except ConnectionResetError:
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            self.open -= 1
            with suppress(OSError):
                writer.close()


@pytest.fixture(scope="module")
def bad() -> Iterator[BadProvider]:
    """The server, on a thread of its own."""
    made = BadProvider()
    with wire_server(made.serve) as made.port:
        yield made


@pytest.fixture(scope="module")
def tenant(site: Live, bad: BadProvider) -> Tenant:
    """An organisation, and a channel to the bad provider."""
    models = [
        {"model": f"bad-{name}", "upstream_model": name, "max_output_tokens": 500}
        for name in (*ALL, "absent")
    ]
    site.channel(*models[:-1], base_url=f"http://127.0.0.1:{bad.port}/v1", timeouts=TIMEOUTS)
    site.channel(models[-1], base_url="http://127.0.0.1:1/v1", timeouts=TIMEOUTS)
    return site.tenant(balance="5")


def streamed(site: Live, tenant: Tenant, name: str) -> Any:
    """Make a streamed call."""
    options = {"include_usage": True}
    return site.chat(f"bad-{name}", "hi", tenant.api_key, stream=True, stream_options=options, max_tokens=500)


def story(site: Live, tenant: Tenant, answer: Any) -> dict[str, Any]:
    """Return the trace, and see that nothing stays frozen."""
    found = site.trace(answer.headers["x-trace-id"], tenant.api_key)
    site.balance(tenant.organization_id, tenant.api_key)
    return found


@pytest.mark.parametrize("name", WHOLE)
def test_odd_but_whole_streams_arrive_and_are_charged_as_reported(
    site: Live, tenant: Tenant, name: str
) -> None:
    answer = streamed(site, tenant, name)
    assert answer.status_code == 200
    assert "héllo 世界" in answer.text
    assert answer.text.endswith("data: [DONE]\n\n")
    usage = story(site, tenant, answer)["usage"]
    assert (usage["source"], usage["input_tokens"], usage["output_tokens"]) == ("reported", 5, 3)


@pytest.mark.parametrize("name", COUNTED)
def test_nonsense_usage_is_counted_instead(site: Live, tenant: Tenant, name: str) -> None:
    answer = streamed(site, tenant, name)
    assert answer.text.endswith("data: [DONE]\n\n")
    assert story(site, tenant, answer)["usage"]["source"] == "estimated"


@pytest.mark.parametrize("name", BROKEN_LATE)
def test_a_stream_that_breaks_ends_with_an_error_event_and_charges_what_was_delivered(
    site: Live, tenant: Tenant, bad: BadProvider, name: str
) -> None:
    answer = streamed(site, tenant, name)
    assert answer.status_code == 200
    assert "héllo 世界" in answer.text
    assert "[DONE]" not in answer.text
    assert BROKEN_LATE[name][1] in answer.text.rsplit("data: ", 1)[1]
    seen = story(site, tenant, answer)
    assert seen["usage"]["source"] == "estimated"
    assert Decimal(seen["hold"]["amount"]) > 0
    assert bad.open == 0


@pytest.mark.parametrize("name", [*BROKEN_EARLY, "absent"])
def test_what_breaks_before_a_word_is_a_status_and_costs_nothing(
    site: Live, tenant: Tenant, bad: BadProvider, name: str
) -> None:
    before = site.balance(tenant.organization_id, tenant.api_key)
    answer = streamed(site, tenant, name)
    status = BROKEN_EARLY[name][1] if name in BROKEN_EARLY else 503
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["code"].startswith("upstream_")
    assert story(site, tenant, answer)["state"] == "released"
    assert site.balance(tenant.organization_id, tenant.api_key) == before
    assert bad.tries.count(name) <= 3
