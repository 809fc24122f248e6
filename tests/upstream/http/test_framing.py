"""What comes out is what went in, however an answer is framed and cut."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from deepspace.kit.errors import PlatformError
from deepspace.upstream.errors import UpstreamError, UpstreamUnavailable
from deepspace.upstream.http.answer import HIGH_WATER_BYTES
from tests.upstream.http.provider import OK, answering, client, post, provider, until_error, whole


def with_length(body: bytes) -> bytes:
    """Frame a body by its length."""
    return OK + b"content-length: %d\r\n\r\n%b" % (len(body), body)


def chunked(body: bytes, sizes: Sequence[int]) -> bytes:
    """Frame a body in chunks of these sizes, and the rest in one."""
    said, at = OK + b"Transfer-Encoding: Chunked\r\n\r\n", 0
    for size in [*sizes, len(body)]:
        part = body[at : at + size]
        if part:
            said += b"%x;note=1\r\n%b\r\n" % (len(part), part)
        at += size
    return said + b"0\r\nx-trailer: yes\r\n\r\n"


def until_close(body: bytes) -> bytes:
    """Frame a body by the end of the connection."""
    return OK + b"connection: close\r\n\r\n" + body


TEXT = 'data: {"delta":"häß 漢字 \U0001f600"}\r\n\r\ndata: [DONE]\n\n'.encode()
FRAMINGS = {
    "length": (with_length(TEXT), False),
    "chunked": (chunked(TEXT, [1, 2, 30]), False),
    "close": (until_close(TEXT), True),
    "interim": (b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + with_length(TEXT), False),
}


@pytest.mark.parametrize("framing", sorted(FRAMINGS))
async def test_an_answer_may_be_cut_at_every_byte(framing: str) -> None:
    said, close = FRAMINGS[framing]
    cuts = iter(range(1, len(said)))

    async def behave(talk: object) -> None:
        cut = next(cuts)
        await answering(said[:cut], said[cut:], close=close, pause_s=0.0005)(talk)  # type: ignore[arg-type]

    async with provider(behave) as made, client() as http:
        for _ in range(1, len(said)):
            answer = await post(http, made.route())
            assert answer.status == 200
            assert answer.headers["content-type"] == "application/json"
            assert "link" not in answer.headers
            assert "x-trailer" not in answer.headers
            assert await whole(answer) == TEXT
        assert made.connections == (len(said) - 1 if close else 1)


async def test_an_answer_may_come_byte_by_byte() -> None:
    said = chunked(TEXT, [3])
    bytewise = answering(*[said[i : i + 1] for i in range(len(said))], pause_s=0.0005)
    async with provider(bytewise) as made, client() as http:
        assert await whole(await post(http, made.route())) == TEXT


bodies = st.binary(max_size=4096) | st.integers(1, 3 * HIGH_WATER_BYTES).map(
    lambda size: b"\x00\xff\r\n" * (size // 4)
)


@given(
    body=bodies,
    framing=st.sampled_from(["length", "chunked", "close", "gzip"]),
    sizes=st.lists(st.integers(1, 5000), max_size=10),
    cuts=st.lists(st.floats(0, 1), max_size=12),
    interim=st.booleans(),
    slow=st.booleans(),
    loop=st.sampled_from([asyncio.run, uvloop.run]),
)
@settings(max_examples=120, deadline=None)
def test_the_bytes_that_come_out_are_the_bytes_that_went_in(
    body: bytes, framing: str, sizes: list[int], cuts: list[float], interim: bool, slow: bool, loop: Any
) -> None:
    packed = gzip.compress(body, 1)
    said = {
        "length": with_length(body),
        "chunked": chunked(body, sizes),
        "close": until_close(body),
        "gzip": OK + b"Content-Encoding: GZIP\r\ncontent-length: %d\r\n\r\n%b" % (len(packed), packed),
    }[framing]
    if interim:
        said = b"HTTP/1.1 100 Continue\r\n\r\n" + said
    places = sorted({0, len(said), *(int(cut * len(said)) for cut in cuts)})
    pieces = [said[a:b] for a, b in pairwise(places)]

    async def run() -> bytes:
        behave = answering(*pieces, close=framing == "close", pause_s=0.0003)
        async with provider(behave) as made, client() as http:
            answer = await post(http, made.route())
            found = b""
            async for chunk in answer.chunks():
                found += chunk
                if slow:
                    await asyncio.sleep(0.001)
            await answer.close()
            return found

    assert loop(run()) == body


@pytest.mark.parametrize(
    "said",
    [
        b"<html>It works!</html>\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000 + b"\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 40_000 + b"content-length: 0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 20_000,
        b"HTTP/1.1 200 OK\r\nna me: x\r\ncontent-length: 0\r\n\r\n",
    ],
    ids=range(10),
)
async def test_what_is_not_http_or_too_large_a_head_is_refused_and_the_connection_dropped(
    said: bytes,
) -> None:
    async with provider(answering(said)) as made, client() as http:
        with pytest.raises(UpstreamUnavailable):
            await post(http, made.route())
        await asyncio.wait_for(made.gone.wait(), 2)


@pytest.mark.parametrize(
    "said",
    [
        b"content-length: 10\r\n\r\nhello",
        b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n",
        b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
    ],
    ids=["length", "chunks", "no-chunk", "no-trailer-end"],
)
async def test_a_body_that_stops_short_gives_what_came_and_then_an_error(said: bytes) -> None:
    async with provider(answering(OK + said, close=True)) as made, client() as http:
        answer = await post(http, made.route())
        found, error = await until_error(answer)
        assert found == b"hello"
        assert isinstance(error, UpstreamUnavailable)


@pytest.mark.parametrize("coding", ["br", "gzip, br", "deflate"])
async def test_a_compression_that_cannot_be_undone_is_refused(coding: str) -> None:
    said = OK + f"content-encoding: {coding}\r\ncontent-length: 5\r\n\r\nhello".encode()
    async with provider(answering(said)) as made, client() as http:
        with pytest.raises(UpstreamError):
            await whole(await post(http, made.route()))


@pytest.mark.parametrize("packed", [b"no gzip", gzip.compress(b"x" * 1000)[:-4]])
async def test_broken_gzip_is_an_upstream_error(packed: bytes) -> None:
    said = OK + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n%b" % (len(packed), packed)
    async with provider(answering(said)) as made, client() as http:
        with pytest.raises(PlatformError):
            await whole(await post(http, made.route()))


async def test_an_answer_without_a_body_is_empty_and_the_connection_is_kept() -> None:
    async with provider(answering(b"HTTP/1.1 204 No Content\r\n\r\n")) as made, client() as http:
        for _ in range(2):
            answer = await post(http, made.route())
            assert (answer.status, await whole(answer)) == (204, b"")
        assert made.connections == 1
