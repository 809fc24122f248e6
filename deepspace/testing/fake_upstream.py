"""A provider in the OpenAI dialect that answers as its model's name says, well or badly, and remembers all
it did.

It is a real HTTP server on loopback in a thread of its own. `fake-echo` says back the last user message,
word by word, with usage; BEHAVIOURS lists the others.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, cast

from aiohttp import web

from deepspace.testing.fake_operations import FakeOperations

JSON = dict[str, Any]

FLUSH_S = 0.05
"""Long enough for what was written to arrive on its own, before what follows."""


@dataclass(slots=True)
class Received:
    """One request as the provider saw it."""

    number: int
    model: str
    body: JSON
    headers: dict[str, str]
    sent: bytes = b""
    usage: JSON | None = None
    finished: bool = False
    client_left: bool = False
    at: float = field(default_factory=time.monotonic)
    at_unix: float = field(default_factory=time.time)


def usage_of(words: list[str], prompt: str, cached: int = 0) -> JSON:
    """Return the usage the provider states: one token a word."""
    asked, told = max(1, len(prompt.split())), len(words)
    return {
        "prompt_tokens": asked,
        "completion_tokens": told,
        "total_tokens": asked + told,
        "prompt_tokens_details": {"cached_tokens": cached},
    }


class FakeUpstream:
    """The server. Use as a context manager; `base_url` is what a channel wants."""

    def __init__(
        self, api_key: str = "sk-fake-upstream-credential", usage_key: str = "sk-fake-usage-reader"
    ) -> None:
        """Requests without `api_key` are answered 401, and so are reports of usage without `usage_key`."""
        self.api_key = api_key
        self.usage_key = usage_key
        self.received: list[Received] = []
        self.scripted: dict[str, bytes] = {}
        self.operations = FakeOperations(api_key)
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="fake-upstream", daemon=True)
        self._ready = threading.Event()
        self._stop = asyncio.Event()

    @property
    def base_url(self) -> str:
        """Return the address of the dialect."""
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> FakeUpstream:
        self._thread.start()
        self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def of_prompt(self, text: str) -> list[Received]:
        """Return the requests whose last message contains `text`."""
        return [request for request in list(self.received) if text in last_message(request.body)]

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._run())
        self._loop.close()

    async def _run(self) -> None:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/v1/chat/completions", self._chat)
        self.operations.add_to(app)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/v1/organization/usage/completions", self._usage)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        server = cast("asyncio.Server", site._server)  # pyright: ignore[reportPrivateUsage]
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = cast("JSON", await request.json())
        entry = Received(len(self.received), str(body["model"]), body, dict(request.headers))
        self.received.append(entry)
        if request.headers.get("authorization") != f"Bearer {self.api_key}":
            return web.json_response({"error": {"message": "bad credential"}}, status=401)
        scripted = self.scripted.get(last_message(body))
        behave = BEHAVIOURS.get(entry.model, echo) if scripted is None else _scripted(scripted)
        try:
            return await behave(request, entry)
        except (ConnectionError, asyncio.CancelledError):
            entry.client_left = True
            raise

    async def _models(self, request: web.Request) -> web.Response:
        if request.headers.get("authorization") != f"Bearer {self.api_key}":
            return web.json_response({"error": {"message": "bad credential"}}, status=401)
        data = [{"id": name, "object": "model"} for name in (*BEHAVIOURS, "fake-echo")]
        return web.json_response({"object": "list", "data": data})

    async def _usage(self, request: web.Request) -> web.Response:
        """Report what was used, a page a model, in the form of OpenAI's usage report."""
        if request.headers.get("authorization") != f"Bearer {self.usage_key}":
            return web.json_response({"error": {"message": "bad credential"}}, status=401)
        start, end = int(request.query["start_time"]), int(request.query["end_time"])
        counted = [
            entry for entry in self.received if entry.usage is not None and start <= entry.at_unix < end
        ]
        models = sorted({entry.model for entry in counted})
        page = int(request.query.get("page", "0"))
        results = [
            {
                "object": "organization.usage.completions.result",
                "model": model,
                "num_model_requests": len(calls),
                "input_tokens": sum(entry.usage["prompt_tokens"] for entry in calls if entry.usage),
                "output_tokens": sum(entry.usage["completion_tokens"] for entry in calls if entry.usage),
            }
            for model in models[page : page + 1]
            for calls in [[entry for entry in counted if entry.model == model]]
        ]
        more = page + 1 < len(models)
        bucket = {"object": "bucket", "start_time": start, "end_time": end, "results": results}
        return web.json_response(
            {
                "object": "page",
                "data": [bucket],
                "has_more": more,
                "next_page": str(page + 1) if more else None,
            }
        )


def _scripted(answer: bytes) -> Callable[[web.Request, Received], Awaitable[web.StreamResponse]]:
    """Return a behaviour that sends these bytes, in pieces if it is asked for a stream."""

    async def behave(request: web.Request, entry: Received) -> web.StreamResponse:
        if not entry.body.get("stream"):
            entry.sent, entry.finished = answer, True
            return web.Response(body=answer, content_type="application/json")
        async with _Stream(request, entry) as stream:
            for at in range(0, len(answer), 97):
                await stream.raw(answer[at : at + 97])
        return stream.response

    return behave


def last_message(body: JSON) -> str:
    """Return the text of the last message."""
    content: Any = body["messages"][-1].get("content")
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)


def _chunk(entry: Received, delta: JSON, finish: str | None = None) -> JSON:
    return {
        "id": f"chatcmpl-fake-{entry.number}",
        "object": "chat.completion.chunk",
        "created": 1_790_000_000,
        "model": entry.model,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }


class _Stream:
    """Writes events and notes what was sent."""

    def __init__(self, request: web.Request, entry: Received) -> None:
        self.response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        self.request, self.entry = request, entry

    async def __aenter__(self) -> _Stream:
        await self.response.prepare(self.request)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.entry.finished = True

    async def raw(self, data: bytes) -> None:
        await self.response.write(data)
        self.entry.sent += data

    async def event(self, payload: JSON) -> None:
        await self.raw(b"data: " + json.dumps(payload, ensure_ascii=False).encode() + b"\n\n")

    async def words(self, words: list[str], pause_s: float = 0.0) -> None:
        await self.event(_chunk(self.entry, {"role": "assistant", "content": ""}))
        for word in words:
            await self.event(_chunk(self.entry, {"content": word + " "}))
            if pause_s:
                await asyncio.sleep(pause_s)

    async def end(self, usage: JSON | None) -> None:
        await self.event(_chunk(self.entry, {}, "stop"))
        if usage is not None and self.entry.body.get("stream_options", {}).get("include_usage"):
            self.entry.usage = usage
            await self.event({**_chunk(self.entry, {}), "choices": [], "usage": usage})
        await self.raw(b"data: [DONE]\n\n")


def _answer(
    request: web.Request, entry: Received, usage: JSON | None
) -> Callable[[list[str], float], Awaitable[Any]]:
    """Return a function that answers with words, as a stream or whole, as the client asked."""

    async def answer(words: list[str], pause_s: float = 0.0) -> web.StreamResponse:
        if entry.body.get("stream"):
            async with _Stream(request, entry) as stream:
                await stream.words(words, pause_s)
                await stream.end(usage)
            return stream.response
        message = {"role": "assistant", "content": " ".join(words)}
        whole: JSON = {
            "id": f"chatcmpl-fake-{entry.number}",
            "object": "chat.completion",
            "created": 1_790_000_000,
            "model": entry.model,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        }
        await asyncio.sleep(pause_s * len(words))
        if usage is not None:
            whole["usage"] = entry.usage = usage
        entry.sent = json.dumps(whole, ensure_ascii=False).encode()
        entry.finished = True
        return web.Response(body=entry.sent, content_type="application/json")

    return answer


def _words(entry: Received) -> list[str]:
    words = last_message(entry.body).split() or ["nothing"]
    limit = int(entry.body.get("max_tokens") or entry.body.get("max_completion_tokens") or 10_000)
    return words[:limit]


async def echo(request: web.Request, entry: Received) -> web.StreamResponse:
    """Answer well."""
    words = _words(entry)
    return await _answer(request, entry, usage_of(words, last_message(entry.body)))(words, 0.0)


async def tools(request: web.Request, entry: Received) -> web.StreamResponse:
    """Think, then call the first tool twice, the arguments of both in turns; say back the results once they
    are there."""
    if entry.body["messages"][-1]["role"] == "tool":
        return await echo(request, entry)
    name = entry.body["tools"][0]["function"]["name"]
    calls = [
        {"id": f"call:{n}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for n, arguments in enumerate(('{"city": "Zürich"}', '{"city": "上海"}'))
    ]
    usage = usage_of(["word"] * 40, last_message(entry.body))
    if not entry.body.get("stream"):
        message = {"role": "assistant", "content": None, "reasoning_content": "Hm.", "tool_calls": calls}
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
        head = {**_chunk(entry, {}), "object": "chat.completion"}
        return web.json_response({**head, "choices": [choice], "usage": usage})
    async with _Stream(request, entry) as stream:
        await stream.event(_chunk(entry, {"role": "assistant", "reasoning_content": "Hm."}))
        for n, call in enumerate(calls):
            begun = {**call, "index": n, "function": {"name": name, "arguments": ""}}
            await stream.event(_chunk(entry, {"tool_calls": [begun]}))
        for at in range(0, 18, 3):
            for n, call in enumerate(calls):
                part = cast("JSON", call["function"])["arguments"][at : at + 3]
                await stream.event(
                    _chunk(entry, {"tool_calls": [{"index": n, "function": {"arguments": part}}]})
                )
        await stream.event(_chunk(entry, {}, "tool_calls"))
        await stream.event({**_chunk(entry, {}), "choices": [], "usage": usage})
        await stream.raw(b"data: [DONE]\n\n")
    return stream.response


async def slow(request: web.Request, entry: Received) -> web.StreamResponse:
    """Answer well, 50 ms a word."""
    words = _words(entry)
    return await _answer(request, entry, usage_of(words, last_message(entry.body)))(words, 0.05)


async def no_usage(request: web.Request, entry: Received) -> web.StreamResponse:
    """Answer without saying what was used."""
    return await _answer(request, entry, None)(_words(entry), 0.0)


async def negative_usage(request: web.Request, entry: Received) -> web.StreamResponse:
    """Claim negative tokens."""
    usage = {"prompt_tokens": -5, "completion_tokens": 3, "total_tokens": -2}
    return await _answer(request, entry, usage)(_words(entry), 0.0)


async def cached_usage(request: web.Request, entry: Received) -> web.StreamResponse:
    """Say that one input token was cached."""
    words = _words(entry)
    return await _answer(request, entry, usage_of(words, last_message(entry.body), cached=1))(words, 0.0)


async def hang(request: web.Request, entry: Received) -> web.StreamResponse:
    """Never answer."""
    await asyncio.sleep(60)
    return web.Response()


async def hang_mid(request: web.Request, entry: Received) -> web.StreamResponse:
    """Stop in the middle of a stream and say nothing more."""
    async with _Stream(request, entry) as stream:
        await stream.words(_words(entry)[:2])
        await asyncio.sleep(60)
    return stream.response


async def reset_mid(request: web.Request, entry: Received) -> web.StreamResponse:
    """Cut the connection in the middle of a stream."""
    async with _Stream(request, entry) as stream:
        await stream.words(_words(entry)[:2])
        await asyncio.sleep(FLUSH_S)
        if request.transport is not None:
            request.transport.abort()
    return stream.response


async def no_done(request: web.Request, entry: Received) -> web.StreamResponse:
    """End the stream without saying that it is complete."""
    async with _Stream(request, entry) as stream:
        await stream.words(_words(entry)[:2])
    return stream.response


async def html(request: web.Request, entry: Received) -> web.StreamResponse:
    """Answer 200 with a page of HTML."""
    return web.Response(text="<html>It works!</html>", content_type="text/html")


async def error_event(request: web.Request, entry: Received) -> web.StreamResponse:
    """Report an error in the middle of a stream."""
    async with _Stream(request, entry) as stream:
        await stream.words(_words(entry)[:2])
        await asyncio.sleep(FLUSH_S)
        await stream.event({"error": {"message": "the fake model fell over", "type": "server_error"}})
    return stream.response


async def bad_utf8(request: web.Request, entry: Received) -> web.StreamResponse:
    """Send bytes that are not UTF-8."""
    async with _Stream(request, entry) as stream:
        await stream.words(_words(entry)[:1])
        await asyncio.sleep(FLUSH_S)
        await stream.raw(b'data: {"choices":[{"delta":{"content":"\xff\xfe"}}]}\n\n')
    return stream.response


async def at_once(request: web.Request, entry: Received) -> web.StreamResponse:
    """Send two words and an error in one piece."""
    word = b'data: {"choices":[{"index":0,"delta":{"content":"word "}}]}\n\n'
    async with _Stream(request, entry) as stream:
        await stream.raw(word + word + b'data: {"error":{"message":"fell over"}}\n\n')
    return stream.response


def status(
    number: int, headers: dict[str, str] | None = None, code: str | None = None
) -> Callable[..., Awaitable[web.StreamResponse]]:
    """Return a behaviour that answers with an error status."""

    async def answer(request: web.Request, entry: Received) -> web.StreamResponse:
        error = {"error": {"message": f"fake failure {number}", "type": "fake", "code": code}}
        return web.json_response(error, status=number, headers=headers)

    return answer


BEHAVIOURS: dict[str, Callable[[web.Request, Received], Awaitable[web.StreamResponse]]] = {
    "fake-echo": echo,
    "fake-slow": slow,
    "fake-tools": tools,
    "fake-no-usage": no_usage,
    "fake-negative-usage": negative_usage,
    "fake-cached": cached_usage,
    "fake-hang": hang,
    "fake-hang-mid": hang_mid,
    "fake-reset-mid": reset_mid,
    "fake-no-done": no_done,
    "fake-html": html,
    "fake-error-event": error_event,
    "fake-bad-utf8": bad_utf8,
    "fake-at-once": at_once,
    "fake-400": status(400),
    "fake-too-long": status(400, code="context_length_exceeded"),
    "fake-401": status(401),
    "fake-429": status(429, {"retry-after": "7"}),
    "fake-500": status(500),
    "fake-529": status(529),
}
