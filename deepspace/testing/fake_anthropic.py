"""A provider in the Anthropic dialect that answers as its model's name says, and remembers all it did.

It is a real HTTP server on loopback in a thread of its own. `claude-echo` says back the last user message,
word by word, with usage; BEHAVIOURS lists the others.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from aiohttp import web

JSON = dict[str, Any]
Event = tuple[str, JSON]

FLUSH_S = 0.05
"""Long enough for what was written to arrive on its own, before what follows."""


@dataclass(slots=True)
class Received:
    """One request as the provider saw it, and the bytes it answered with."""

    model: str
    body: JSON
    headers: dict[str, str]
    sent: bytes = b""
    client_left: bool = False


@dataclass(slots=True)
class Answer:
    """What a model says: blocks of content, why it stopped, and usage beside the output."""

    blocks: list[JSON]
    stop_reason: str = "end_turn"
    usage: JSON = field(default_factory=dict[str, Any])


def last_text(body: JSON) -> str:
    """Return the text of the last message, of its last text block or tool result."""
    content = body["messages"][-1]["content"]
    while isinstance(content, list):
        block = cast("list[JSON]", content)[-1]
        content = block.get("text") or block.get("content") or json.dumps(block)
    return str(content)


def _usage(body: JSON, told: int) -> JSON:
    return {"input_tokens": max(1, len(last_text(body).split())), "output_tokens": told}


def echo(body: JSON) -> Answer:
    """Say back the last message, as far as `max_tokens` goes: one token a word."""
    words = last_text(body).split() or ["nothing"]
    said = words[: body["max_tokens"]]
    stop = "end_turn" if len(said) == len(words) else "max_tokens"
    return Answer([{"type": "text", "text": " ".join(said)}], stop, _usage(body, len(said)))


def cached(body: JSON) -> Answer:
    """Read from the cache and write to it for five minutes and an hour."""
    answer = echo(body)
    answer.usage |= {
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 50,
        "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 30},
    }
    return answer


def tools(body: JSON) -> Answer:
    """Call the first tool twice, with text in front; say back the results once they are there."""
    if any(block.get("type") == "tool_result" for block in _blocks(body["messages"][-1])):
        return echo(body)
    name = body["tools"][0]["name"]
    calls = [
        {"type": "tool_use", "id": f"toolu_{n}", "name": name, "input": {"city": city}}
        for n, city in enumerate(("Zürich", "上海"))
    ]
    return Answer([{"type": "text", "text": "Let me look."}, *calls], "tool_use", _usage(body, 40))


def thinking(body: JSON) -> Answer:
    """Think, signed, then say back the last message."""
    answer = echo(body)
    answer.blocks.insert(0, {"type": "thinking", "thinking": "Hm, let me see.", "signature": "c2lnbmVk"})
    answer.usage["output_tokens"] += 5
    answer.usage["output_tokens_details"] = {"thinking_tokens": 5}
    return answer


def schema(body: JSON) -> Answer:
    """Answer with JSON if a schema is given."""
    wanted = body["output_config"]["format"]["schema"]["properties"]
    return Answer(
        [{"type": "text", "text": json.dumps(dict.fromkeys(wanted, 7))}], "end_turn", _usage(body, 9)
    )


def refusal(body: JSON) -> Answer:
    """Refuse."""
    return Answer([], "refusal", _usage(body, 1))


def _blocks(message: JSON) -> list[JSON]:
    content = message["content"]
    return cast("list[JSON]", content) if isinstance(content, list) else []


def message_of(answer: Answer, model: str) -> JSON:
    """Return a whole message."""
    return {
        "id": "msg_fake",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": answer.blocks,
        "stop_reason": answer.stop_reason,
        "stop_sequence": None,
        "usage": {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, **answer.usage},
    }


def events_of(answer: Answer, model: str) -> list[Event]:
    """Return the events of a streamed message, in pieces of a few characters."""
    start = message_of(answer, model)
    start |= {"content": [], "stop_reason": None, "usage": {**start["usage"], "output_tokens": 1}}
    events: list[Event] = [("message_start", {"message": start}), ("ping", {})]
    for index, block in enumerate(answer.blocks):
        events += _events_of_block(index, block)
    delta = {"stop_reason": answer.stop_reason, "stop_sequence": None}
    usage = {"output_tokens": answer.usage.get("output_tokens", 0)}
    if "output_tokens_details" in answer.usage:
        usage["output_tokens_details"] = answer.usage["output_tokens_details"]
    return [*events, ("message_delta", {"delta": delta, "usage": usage}), ("message_stop", {})]


def _events_of_block(index: int, block: JSON) -> list[Event]:
    empty, deltas = _deltas_of(block)
    return [
        ("content_block_start", {"index": index, "content_block": {**block, **empty}}),
        *(("content_block_delta", {"index": index, "delta": delta}) for delta in deltas),
        ("content_block_stop", {"index": index}),
    ]


def _deltas_of(block: JSON) -> tuple[JSON, list[JSON]]:
    if block["type"] == "tool_use":
        whole = json.dumps(block["input"], ensure_ascii=False)
        parts = ["", *_cut(whole)]
        return {"input": {}}, [{"type": "input_json_delta", "partial_json": part} for part in parts]
    if block["type"] == "thinking":
        deltas: list[JSON] = [
            {"type": "thinking_delta", "thinking": part} for part in _cut(block["thinking"])
        ]
        signature = {"type": "signature_delta", "signature": block["signature"]}
        return {"thinking": "", "signature": ""}, [*deltas, signature]
    return {"text": ""}, [{"type": "text_delta", "text": part} for part in _cut(block["text"])]


def _cut(text: str) -> list[str]:
    return [text[at : at + 7] for at in range(0, len(text), 7)]


def encode(kind: str, fields: JSON) -> bytes:
    """Write an event as the Messages API does."""
    data = json.dumps({"type": kind, **fields}, ensure_ascii=False)
    return f"event: {kind}\ndata: {data}\n\n".encode()


ANSWERS: dict[str, Callable[[JSON], Answer]] = {
    "claude-echo": echo,
    "claude-cached": cached,
    "claude-tools": tools,
    "claude-thinking": thinking,
    "claude-schema": schema,
    "claude-refusal": refusal,
    "claude-slow": echo,
    "claude-die-mid": echo,
    "claude-error-event": echo,
}

ERRORS: dict[str, tuple[int, str]] = {
    "claude-400": (400, "invalid_request_error"),
    "claude-401": (401, "authentication_error"),
    "claude-429": (429, "rate_limit_error"),
    "claude-529": (529, "overloaded_error"),
}

BEHAVIOURS = (*ANSWERS, *ERRORS)


class FakeAnthropic:
    """The server. Use as a context manager; `base_url` is what a channel wants."""

    def __init__(self, api_key: str = "sk-ant-fake-credential") -> None:
        """Requests without `api_key` are answered 401."""
        self.api_key = api_key
        self.received: list[Received] = []
        self.scripted: dict[str, bytes] = {}
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="fake-anthropic", daemon=True)
        self._ready = threading.Event()
        self._stop = asyncio.Event()

    @property
    def base_url(self) -> str:
        """Return the address of the dialect."""
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> FakeAnthropic:
        self._thread.start()
        self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._run())
        self._loop.close()

    async def _run(self) -> None:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/v1/messages", self._messages)
        app.router.add_post("/v1/messages/count_tokens", self._count)
        app.router.add_get("/v1/models", self._models)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        server = cast("asyncio.Server", site._server)  # pyright: ignore[reportPrivateUsage]
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

    def _refusal(self, request: web.Request) -> web.Response | None:
        if request.headers.get("x-api-key") != self.api_key or "authorization" in request.headers:
            return _error(401, "authentication_error", "invalid x-api-key")
        if not request.headers.get("anthropic-version"):
            return _error(400, "invalid_request_error", "anthropic-version: header is required")
        return None

    async def _count(self, request: web.Request) -> web.Response:
        body = cast("JSON", await request.json())
        refusal = self._refusal(request)
        if refusal is None and "max_tokens" in body:
            refusal = _error(400, "invalid_request_error", "max_tokens: Extra inputs are not permitted")
        return refusal or web.json_response({"input_tokens": len(last_text(body).split())})

    async def _models(self, request: web.Request) -> web.Response:
        refusal = self._refusal(request)
        data = [{"type": "model", "id": name, "display_name": name} for name in ANSWERS]
        return refusal or web.json_response({"data": data, "has_more": False})

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        body = cast("JSON", await request.json())
        entry = Received(str(body["model"]), body, {k.lower(): v for k, v in request.headers.items()})
        self.received.append(entry)
        refusal = self._refusal(request)
        if refusal is None and entry.model in ERRORS:
            status, kind = ERRORS[entry.model]
            refusal = _error(status, kind, f"fake failure {status}")
        if refusal is not None:
            return refusal
        try:
            if body.get("stream"):
                return await self._stream(request, entry)
            entry.sent = (
                self.scripted.get(last_text(body))
                or json.dumps(
                    message_of(ANSWERS[entry.model](body), entry.model), ensure_ascii=False
                ).encode()
            )
            return web.Response(body=entry.sent, content_type="application/json")
        except (ConnectionError, asyncio.CancelledError):
            entry.client_left = True
            raise

    async def _stream(self, request: web.Request, entry: Received) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)

        async def send(data: bytes) -> None:
            await response.write(data)
            entry.sent += data

        scripted = self.scripted.get(last_text(entry.body))
        if scripted is not None:
            for at in range(0, len(scripted), 97):
                await send(scripted[at : at + 97])
            return response
        events = events_of(ANSWERS[entry.model](entry.body), entry.model)
        for number, (kind, fields) in enumerate(events):
            if entry.model == "claude-slow":
                await asyncio.sleep(0.02)
            if entry.model in {"claude-die-mid", "claude-error-event"} and number == len(events) // 2:
                await asyncio.sleep(FLUSH_S)
                if entry.model == "claude-error-event":
                    told = {"type": "overloaded_error", "message": "Overloaded"}
                    await send(encode("error", {"error": told}))
                elif request.transport is not None:
                    request.transport.abort()
                return response
            await send(encode(kind, fields))
        return response


def _error(status: int, kind: str, message: str) -> web.Response:
    told = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_fake"}
    return web.json_response(told, status=status)
