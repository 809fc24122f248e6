"""What the fake provider of fake_upstream.py does at the addresses that are no chat.

A model's name says how it answers: `fake-embed` well, `…-no-usage` without usage, `…-error` with an error in
a 200, `…-html` with a page. Tokens are words.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

JSON = dict[str, Any]
Answer = tuple[JSON, JSON | None]

DIMENSIONS = 4


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


def _vector(item: Any, size: int) -> list[float]:
    lengths = [len(word) for word in item.split()] if isinstance(item, str) else list(item)
    return [float(number) for number in (*lengths, *[0] * size)][:size]


def _tokens(item: Any) -> int:
    return len(item.split()) if isinstance(item, str) else len(item)


JSON_ADDRESSES: dict[str, Callable[[JSON], Answer]] = {
    "/v1/embeddings": embeddings,
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

    async def _json(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        entry = Asked(request.path, _fields(request), raw, json.loads(raw))
        return self._answer(request, entry, lambda: JSON_ADDRESSES[request.path](entry.body))

    def _answer(self, request: web.Request, entry: Asked, answer: Callable[[], Answer]) -> web.Response:
        self.asked.append(entry)
        if request.headers.get("authorization") != f"Bearer {self._api_key}":
            return web.json_response({"error": {"message": "bad credential"}}, status=401)
        entry.sent, status, kind = _shown(str(entry.body.get("model")), answer)
        return web.Response(body=entry.sent, status=status, content_type=kind)


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
