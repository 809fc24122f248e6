"""The OpenAPI document of the addresses of /v1 that are no chat."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

_BINARY = {"type": "string", "format": "binary"}
_COST = "`usage.cost` is a decimal string in the platform's currency."


def _form(*files: str, **texts: str) -> dict[str, Any]:
    """Return a form's schema: files, and texts with an example."""
    fields: dict[str, Any] = dict.fromkeys(files, _BINARY)
    fields |= {name: {"type": "string", "examples": [example]} for name, example in texts.items()}
    required = [*files, *(name for name in texts if name in {"model", "prompt"})]
    return {"type": "object", "properties": fields, "required": required, "additionalProperties": True}


_ADDRESSES: Mapping[str, tuple[str, str, str, Mapping[str, Any]]] = MappingProxyType(
    {
        "/v1/embeddings": (
            "create_embeddings",
            "Embeddings",
            _COST,
            {"model": "multilingual-e5-small", "input": ["你好", "hello"]},
        ),
        "/v1/rerank": (
            "rerank",
            "Rank documents by a query (the form of Cohere and Jina)",
            _COST,
            {
                "model": "bge-reranker-v2-m3",
                "query": "warm sea",
                "documents": ["a hill", "a sea"],
                "top_n": 1,
            },
        ),
        "/v1/moderations": (
            "create_moderation",
            "Moderation",
            _COST,
            {"model": "omni-moderation-latest", "input": "hello"},
        ),
        "/v1/images/generations": (
            "create_image",
            "Images, JSON or SSE",
            f"{_COST} A price by the call alone pays for one image.",
            {"model": "gpt-image-1", "prompt": "a red fox"},
        ),
        "/v1/images/edits": (
            "edit_image",
            "Images from images, JSON or SSE",
            "The form goes on as it came, with the model's name changed.",
            _form("image", model="gpt-image-1", prompt="a red fox in the snow"),
        ),
        "/v1/audio/transcriptions": (
            "create_transcription",
            "A recording as text: JSON, plain text or SSE",
            "The form goes on as it came, with the model's name changed.",
            _form("file", model="whisper-1", language="zh"),
        ),
        "/v1/audio/translations": (
            "create_translation",
            "A recording as English text: JSON or plain text",
            "The form goes on as it came, with the model's name changed.",
            _form("file", model="whisper-1"),
        ),
        "/v1/audio/speech": (
            "create_speech",
            "A text as sound",
            "The sound goes through as it is made. Where no usage is stated the characters count as `input`.",
            {"model": "tts-1", "voice": "alloy", "input": "Good day."},
        ),
    }
)
_STREAMS = frozenset({"/v1/images/generations", "/v1/images/edits", "/v1/audio/transcriptions"})
_TEXTS = frozenset({"/v1/audio/transcriptions", "/v1/audio/translations"})


def operation_paths(errors: Mapping[str, Any]) -> dict[str, Any]:
    """Return the addresses with their errors by status."""
    return {path: {"post": _operation(path, *told, errors)} for path, told in _ADDRESSES.items()}


def _operation(
    path: str, name: str, summary: str, description: str, asked: Mapping[str, Any], errors: Mapping[str, Any]
) -> dict[str, Any]:
    anything: dict[str, Any] = {"schema": {"type": "object", "additionalProperties": True}}
    if "properties" in asked:
        body: dict[str, Any] = {"multipart/form-data": {"schema": asked}}
    else:
        body = {"application/json": {**anything, "example": asked}}
    answer: dict[str, Any] = {"application/json": anything}
    if path == "/v1/audio/speech":
        answer = {"audio/mpeg": {"schema": _BINARY}}
    if path in _TEXTS:
        answer["text/plain"] = {"schema": {"type": "string"}}
    if path in _STREAMS:
        answer["text/event-stream"] = {"schema": {"type": "string"}}
    return {
        "tags": ["AI surface"],
        "summary": summary,
        "description": description,
        "operationId": name,
        "requestBody": {"required": True, "content": body},
        "responses": {"200": {"description": "The answer.", "content": answer}, **errors},
    }
