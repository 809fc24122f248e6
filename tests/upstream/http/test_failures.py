"""A provider that fails in every way it can: the call learns of it in time, and the connection is freed."""

from __future__ import annotations

import asyncio
import socket
import time
from dataclasses import replace

import pytest

from deepspace.upstream.catalogue import Timeouts
from deepspace.upstream.errors import UpstreamError, UpstreamTimeout, UpstreamUnavailable
from deepspace.upstream.http import answer as answers
from deepspace.upstream.http.answer import HIGH_WATER_BYTES
from deepspace.upstream.http.connection import READ_BYTES
from tests.upstream.http.provider import (
    OK,
    Talk,
    answering,
    client,
    post,
    provider,
    route_to,
    until_error,
    whole,
)

STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
WORD = b"6\r\nword \n\r\n"


async def silence(_: Talk) -> None:
    """Say nothing."""
    await asyncio.sleep(60)


async def test_a_provider_that_nobody_listens_for_is_unavailable() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        route = route_to(f"http://127.0.0.1:{bound.getsockname()[1]}", Timeouts())
        async with client() as http:
            with pytest.raises(UpstreamUnavailable, match="could not be reached"):
                await post(http, route)


async def test_a_provider_that_never_takes_the_connection_is_unavailable_in_time() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        bound.listen(0)
        address = bound.getsockname()
        with socket.create_connection(address), socket.socket() as second:
            second.setblocking(False)
            second.connect_ex(address)  # the line before `accept` is full now
            route = route_to(f"http://127.0.0.1:{address[1]}", Timeouts(connect_s=0.2))
            async with client() as http:
                start = time.monotonic()
                with pytest.raises(UpstreamUnavailable, match="in time"):
                    await post(http, route)
                assert time.monotonic() - start < 2


async def test_silence_before_the_head_is_a_timeout_and_frees_the_connection() -> None:
    async with provider(silence) as made, client() as http:
        start = time.monotonic()
        with pytest.raises(UpstreamTimeout):
            await post(http, made.route(first_byte_s=0.2))
        assert 0.15 < time.monotonic() - start < 2


async def test_half_a_head_is_no_first_byte() -> None:
    async def behave(talk: Talk) -> None:
        for byte in OK * 20:
            await talk.say(bytes([byte]), pause_s=0.02)

    async with provider(behave) as made, client() as http:
        with pytest.raises(UpstreamTimeout):
            await post(http, made.route(first_byte_s=0.3))


async def test_silence_in_the_middle_is_a_timeout_after_what_came() -> None:
    async def behave(talk: Talk) -> None:
        await talk.say(STREAM + WORD)
        await silence(talk)

    async with provider(behave) as made, client() as http:
        found, error = await until_error(await post(http, made.route(idle_s=0.2)))
        assert found == b"word \n"
        assert isinstance(error, UpstreamTimeout)
        assert "0.2 s" in error.message


async def test_a_reset_in_the_middle_is_told_after_what_came() -> None:
    async def behave(talk: Talk) -> None:
        await talk.say(STREAM + WORD, pause_s=0.05)
        talk.reset()

    async with provider(behave) as made, client() as http:
        found, error = await until_error(await post(http, made.route()))
        assert found == b"word \n"
        assert isinstance(error, UpstreamUnavailable)


async def test_a_trickle_is_no_silence_but_the_whole_time_is_bounded() -> None:
    async def behave(talk: Talk) -> None:
        await talk.say(STREAM, *[b"1\r\n.\r\n"] * 100, pause_s=0.05)

    async with provider(behave) as made, client() as http:
        start = time.monotonic()
        found, error = await until_error(await post(http, made.route(idle_s=0.3, total_s=0.8)))
        assert len(found) > 5
        assert isinstance(error, UpstreamTimeout)
        assert "0.8 s" in error.message
        assert time.monotonic() - start < 3


@pytest.mark.parametrize(
    "status", [b"400 Bad Request", b"429 Too Many Requests", b"529 Overloaded", b"302 Found"]
)
async def test_another_status_passes_with_its_headers_and_body(status: bytes) -> None:
    said = (
        b"HTTP/1.1 %b\r\nRetry-After: 7\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 4\r\n\r\nbusy"
        % status
    )
    async with provider(answering(said)) as made, client() as http:
        answer = await post(http, made.route())
        assert answer.status == int(status[:3])
        assert answer.headers["retry-after"] == "7"
        assert await whole(answer) == b"busy"
        assert len(made.requests) == 1


async def test_bytes_that_mean_nothing_to_the_client_pass_untouched() -> None:
    body = b"<html>\xff\xfe\x00" + "漢".encode()[:2]
    said = OK + b"content-length: %d\r\n\r\n%b" % (len(body), body)
    async with provider(answering(said)) as made, client() as http:
        assert await whole(await post(http, made.route())) == body


async def test_fifty_megabytes_in_one_event_are_held_back_while_the_reader_is_slow() -> None:
    body = b"data: " + b"x" * (50 * 1024 * 1024)
    sent = 0

    async def behave(talk: Talk) -> None:
        nonlocal sent
        await talk.say(OK + b"content-length: %d\r\n\r\n" % len(body))
        for at in range(0, len(body), 1 << 20):
            await talk.say(body[at : at + (1 << 20)])
            sent = at

    async with provider(behave) as made, client() as http:
        answer = await post(http, made.route(idle_s=0.2))
        await asyncio.sleep(0.4)  # longer than `idle_s`: a slow reader is not a silent provider
        assert sent < 16 * 1024 * 1024  # what the kernel's buffers take
        largest = size = 0
        async for chunk in answer.chunks():
            largest, size = max(largest, len(chunk)), size + len(chunk)
        await answer.close()
        assert size == len(body)
        assert largest <= HIGH_WATER_BYTES + READ_BYTES <= 256 * 1024


async def test_an_answer_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "MAX_BODY_BYTES", 1000)
    async with provider(answering(STREAM, *[WORD] * 1000)) as made, client() as http:
        _, error = await until_error(await post(http, made.route()))
        assert isinstance(error, UpstreamError)
        await asyncio.wait_for(made.gone.wait(), 2)


async def test_a_reader_that_leaves_early_closes_the_connection() -> None:
    async with provider(answering(STREAM + WORD)) as made, client() as http:
        answer = await post(http, made.route())
        async for _ in answer.chunks():
            break
        await answer.close()
        await asyncio.wait_for(made.gone.wait(), 2)


async def test_abort_wakes_a_reader_that_waits() -> None:
    async with provider(answering(STREAM + WORD)) as made, client() as http:
        answer = await post(http, made.route())
        reading = asyncio.create_task(until_error(answer))
        await asyncio.sleep(0.1)
        answer.abort()
        _, error = await asyncio.wait_for(reading, 2)
        assert isinstance(error, UpstreamUnavailable)
        await asyncio.wait_for(made.gone.wait(), 2)


async def test_a_call_that_is_cancelled_before_the_head_closes_its_connection() -> None:
    async def behave(talk: Talk) -> None:
        await talk.reader.read()  # ends when the client closes
        made.gone.set()

    async with provider(behave) as made, client() as http:
        calling = asyncio.create_task(post(http, made.route()))
        await asyncio.sleep(0.1)
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        await asyncio.wait_for(made.gone.wait(), 2)


@pytest.mark.parametrize("value", ["a\r\nx: y", "a\nx: y", "a\rb", "a\x00b", "a\x7fb"])
async def test_no_header_of_ours_can_become_two(value: str) -> None:
    async with provider(answering(OK + b"content-length: 0\r\n\r\n")) as made, client() as http:
        for route, headers in (
            (replace(made.route(), api_key=value), {}),
            (made.route(), {"x-note": value}),
            (made.route(), {value: "x"}),
            (replace(made.route(), base_url=f"{made.route().base_url}/{value} HTTP/1.1"), {}),
        ):
            with pytest.raises(UpstreamUnavailable):
                await http.post(route, "/chat/completions", b"{}", headers)
        assert not made.requests


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding", "HOST", "Connection"])
async def test_nobody_else_says_where_a_request_goes_or_ends(name: str) -> None:
    async with provider(answering(OK + b"content-length: 0\r\n\r\n")) as made, client() as http:
        with pytest.raises(UpstreamUnavailable):
            await http.post(made.route(), "/chat/completions", b"{}", {name: "0"})
        assert not made.requests


@pytest.mark.parametrize(
    "address", ["ftp://localhost/v1", "localhost", "http://", "http://u:p@localhost/", "http://x:y/"]
)
async def test_what_is_no_address_is_a_channel_that_cannot_be_reached(address: str) -> None:
    async with client() as http:
        with pytest.raises(UpstreamUnavailable):
            await post(http, route_to(address, Timeouts()))
