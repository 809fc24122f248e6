"""What the fake provider of fake_upstream.py does at the addresses that are no chat.

A model's name says how it answers: `fake-embed` well, `…-no-usage` without usage, `…-error` with an error in
a 200, `…-html` with a page. Tokens are words.
"""

from __future__ import annotations

import asyncio
import base64
import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from typing import Any, cast

from aiohttp import web

JSON = dict[str, Any]
Answer = tuple[JSON, JSON | None]

DIMENSIONS = 4
PAUSE_S = 0.03
"""Long enough for what was written to arrive on its own."""


def embeddings(body: JSON) -> Answer:
    """Return a vector for each input: the lengths of its first words."""
    given: Any = body["input"]
    inputs = [given] if isinstance(given, str) or (given and isinstance(given[0], int)) else given
    data: list[JSON] = []
    for index, item in enumerate(inputs):
        vector = _vector(item, int(body.get("dimensions") or DIMENSIONS))
        shown: Any = vector
        if body.get("encoding_format") == "base64":
            shown = base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
        data.append({"object": "embedding", "index": index, "embedding": shown})
    tokens = sum(_tokens(item) for item in inputs)
    answer = {"object": "list", "data": data, "model": body["model"]}
    return answer, {"prompt_tokens": tokens, "total_tokens": tokens}


def rerank(body: JSON) -> Answer:
    """Return the documents, the one with the most words of the query first."""
    words = set(str(body["query"]).split())
    texts = [item if isinstance(item, str) else str(item["text"]) for item in body["documents"]]
    scores = [len(words & set(text.split())) / len(words) for text in texts]
    order = sorted(range(len(texts)), key=lambda index: -scores[index])[: body.get("top_n") or len(texts)]
    results: list[JSON] = [{"index": index, "relevance_score": scores[index]} for index in order]
    if body.get("return_documents"):
        results = [{**result, "document": {"text": texts[result["index"]]}} for result in results]
    tokens = sum(len(words) + len(text.split()) for text in texts)
    return {"model": body["model"], "results": results}, {"total_tokens": tokens}


def moderations(body: JSON) -> Answer:
    """Flag every text with the word "bad" in it; usage is never stated."""
    given: Any = body["input"]
    texts = [given] if isinstance(given, str) else given
    results: list[JSON] = [
        {
            "flagged": "bad" in str(text),
            "categories": {},
            "category_scores": {},
            "category_applied_input_types": {},
        }
        for text in texts
    ]
    return {"id": "modr-1", "model": body["model"], "results": results}, None


def images(body: JSON) -> Answer:
    """Return as many images as were asked for, of 100 tokens each."""
    count, prompt = int(body.get("n") or 1), len(str(body["prompt"]).split())
    pictures = len(body.get("files", ())) * 40
    usage = {
        "input_tokens": prompt + pictures,
        "input_tokens_details": {"text_tokens": prompt, "image_tokens": pictures},
        "output_tokens": 100 * count,
        "total_tokens": prompt + pictures + 100 * count,
    }
    return {"created": 1_790_000_000, "data": [{"b64_json": "aW1hZ2U="}] * count}, usage


def writing(body: JSON) -> Answer:
    """Write down what a recording says: its bytes, as text."""
    said = str(body["said"])
    if str(body["model"]).endswith("-duration"):
        return {"text": said}, {"type": "duration", "seconds": 8.2}
    tokens = len(said.split())
    usage = {
        "type": "tokens",
        "input_tokens": 10 * tokens,
        "input_token_details": {"text_tokens": 0, "audio_tokens": 10 * tokens},
        "output_tokens": tokens,
        "total_tokens": 11 * tokens,
    }
    return {"text": said}, usage


def _vector(item: Any, size: int) -> list[float]:
    lengths = [len(word) for word in item.split()] if isinstance(item, str) else list(item)
    return [float(number) for number in (*lengths, *[0] * size)][:size]


def _tokens(item: Any) -> int:
    return len(item.split()) if isinstance(item, str) else len(item)


JSON_ADDRESSES: dict[str, Callable[[JSON], Answer]] = {
    "/v1/embeddings": embeddings,
    "/v1/rerank": rerank,
    "/v1/moderations": moderations,
    "/v1/images/generations": images,
}

FORM_ADDRESSES: dict[str, Callable[[JSON], Answer]] = {
    "/v1/images/edits": images,
    "/v1/audio/transcriptions": writing,
    "/v1/audio/translations": writing,
}


@dataclass(slots=True)
class Asked:
    """One request as the provider saw it, and what it sent."""

    path: str
    headers: dict[str, str]
    raw: bytes
    body: JSON
    sent: bytes = b""


class FakeOperations:
    """The addresses, and what was asked at them."""

    def __init__(self, api_key: str) -> None:
        """Requests without `api_key` are answered 401."""
        self._api_key = api_key
        self.asked: list[Asked] = []

    def add_to(self, app: web.Application) -> None:
        """Serve the addresses."""
        for path in JSON_ADDRESSES:
            app.router.add_post(path, self._json)
        for path in FORM_ADDRESSES:
            app.router.add_post(path, self._form)
        app.router.add_post("/v1/audio/speech", self._speech)
        app.router.add_post("/v1/vendor/{name}", self._vendor)

    async def _json(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        entry = Asked(request.path, _fields(request), raw, json.loads(raw))
        return await self._answer(request, entry, JSON_ADDRESSES[request.path])

    async def _vendor(self, request: web.Request) -> web.StreamResponse:
        """Answer at an address of this provider's own: bytes, a page, JSON with usage or without."""
        raw, kind = await request.read(), request.headers["content-type"]
        body = _form_fields(raw, kind) if kind.startswith("multipart/") else json.loads(raw)
        entry = Asked(request.path, _fields(request), raw, body)
        self.asked.append(entry)
        entry.sent, kind = _VENDOR[request.match_info["name"]]
        return web.Response(body=entry.sent, content_type=kind)

    async def _form(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        body = _form_fields(raw, request.headers["content-type"])
        entry = Asked(request.path, _fields(request), raw, body)
        if body.get("response_format") in {"text", "srt", "vtt"}:
            return await self._text(request, entry, str(body["said"]))
        return await self._answer(request, entry, FORM_ADDRESSES[request.path])

    async def _speech(self, request: web.Request) -> web.StreamResponse:
        """Speak a text: its words, one by one, as bytes; `…-broken` cuts the connection behind the first."""
        raw = await request.read()
        entry = Asked(request.path, _fields(request), raw, json.loads(raw))
        self.asked.append(entry)
        model, words = str(entry.body["model"]), str(entry.body["input"]).split()
        if model.endswith("-json"):
            return web.json_response({"error": {"message": "no voice today"}})
        events = entry.body.get("stream_format") == "sse"
        response = web.StreamResponse(
            headers={"content-type": "text/event-stream" if events else "audio/mpeg"}
        )
        await response.prepare(request)
        for word in words:
            delta = {"type": "speech.audio.delta", "audio": base64.b64encode(word.encode()).decode()}
            entry.sent += (piece := _event(delta) if events else b"\xff\xf3" + word.encode())
            await response.write(piece)
            await asyncio.sleep(PAUSE_S)
            if model.endswith("-broken") and request.transport is not None:
                request.transport.abort()
        if events:
            usage = {"input_tokens": len(words), "output_tokens": 20 * len(words)}
            entry.sent += (piece := _event({"type": "speech.audio.done", "usage": usage}))
            await response.write(piece)
        return response

    async def _text(self, request: web.Request, entry: Asked, text: str) -> web.StreamResponse:
        self.asked.append(entry)
        entry.sent = text.encode()
        return web.Response(text=text)

    async def _answer(
        self, request: web.Request, entry: Asked, answer: Callable[[JSON], Answer]
    ) -> web.StreamResponse:
        self.asked.append(entry)
        if request.headers.get("authorization") != f"Bearer {self._api_key}":
            return web.json_response({"error": {"message": "bad credential"}}, status=401)
        model = str(entry.body.get("model"))
        asked = str(entry.body.get("stream")).lower() == "true"
        if asked and request.path != "/v1/audio/translations" and not model.endswith("-error"):
            return await _streamed(request, entry, *answer(entry.body))
        entry.sent, status, kind = _shown(model, lambda: answer(entry.body))
        return web.Response(body=entry.sent, status=status, content_type=kind)


_VENDOR: Mapping[str, tuple[bytes, str]] = {
    "bytes": (b"\x00\x01\xff", "application/octet-stream"),
    "page": (b"<html>It works!</html>", "text/html"),
    "plain": (b'{ "done" : true }', "application/json"),
    "list": (b"[1, 2]", "application/json"),
    "usage": (b'{"usage": {"prompt_tokens": 3, "completion_tokens": 2}, "done" : true }', "application/json"),
    "events": (b"event: one\ndata: {}\n\ndata: no JSON\n\ndata: [1]\n\n", "text/event-stream"),
}
"""What is answered at /v1/vendor/<name>."""


def _form_fields(raw: bytes, content_type: str) -> JSON:
    """Read a form with the standard library's parser, which is not the gateway's; the bytes of the last file
    are `said`."""
    parsed = message_from_bytes(f"content-type: {content_type}\r\n\r\n".encode() + raw)
    body: JSON = {"files": []}
    for part in cast("list[Message]", parsed.get_payload()):
        name = str(part.get_param("name", header="content-disposition"))
        content = cast("bytes", part.get_payload(decode=True))
        if part.get_filename() is None:
            body[name] = content.decode()
        else:
            body["files"].append((name, part.get_filename(), content))
            body["said"] = content.decode(errors="replace")
    return body


def _event(data: JSON) -> bytes:
    return f"event: {data['type']}\ndata: {json.dumps(data)}\n\n".encode()


async def _streamed(request: web.Request, entry: Asked, told: JSON, usage: JSON | None) -> web.StreamResponse:
    """Answer in events: a part, then all of it with the usage."""
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    done = {"type": "it.completed", **told, "usage": usage}
    events: list[JSON] = [{"type": "it.partial", "delta": "a part"}, done]
    if str(entry.body["model"]).endswith("-trouble"):
        events = [{"type": "error", "error": {"message": "the fake model fell over"}}]
    for event in events:
        entry.sent += _event(event)
        await response.write(_event(event))
        await asyncio.sleep(PAUSE_S)
    return response


def _fields(request: web.Request) -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers.items()}


def _shown(model: str, answer: Callable[[], Answer]) -> tuple[bytes, int, str]:
    """Return body, status and media type of an answer. The blanks in the JSON are there to be kept."""
    if model.endswith("-html"):
        return b"<html>It works!</html>", 200, "text/html"
    if model.endswith("-error"):
        return b'{"error": {"message": "the fake model fell over"}}', 200, "application/json"
    if model.endswith("-500"):
        return b'{"error": {"message": "fake failure"}}', 500, "application/json"
    if model.endswith("-hollow"):
        return b'{"object": "nothing"}', 200, "application/json"
    told, usage = answer()
    if usage is not None and not model.endswith("-no-usage"):
        told["usage"] = usage
    return json.dumps(told, ensure_ascii=False, indent=1).encode(), 200, "application/json"
