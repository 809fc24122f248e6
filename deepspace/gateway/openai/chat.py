"""The OpenAI dialect of a chat call: POST /v1/chat/completions."""

from __future__ import annotations

from typing import Annotated

import msgspec

from deepspace.gateway.asgi import Scope, header
from deepspace.gateway.dialect import InvalidRequest, read_fields
from deepspace.gateway.openai.encode import OpenAIEncoder
from deepspace.kit.web import bearer
from deepspace.pipeline.exchange import ChatCall

MAX_CHOICES = 128


class _StreamOptions(msgspec.Struct):
    include_usage: bool = False


class _Message(msgspec.Struct):
    role: str


class _ChatBody(msgspec.Struct):
    """The fields the platform itself reads; every other field passes through untouched."""

    model: Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
    messages: list[_Message]
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    n: int | None = None


_body_decoder = msgspec.json.Decoder(_ChatBody)


def parse_chat(body: bytes) -> ChatCall:
    """Read a chat request; InvalidJson or InvalidRequest with the field at fault."""
    chat, fields = read_fields(body, _body_decoder)
    limit = chat.max_completion_tokens if chat.max_completion_tokens is not None else chat.max_tokens
    choices = chat.n if chat.n is not None else 1
    if not chat.messages:
        raise InvalidRequest("'messages' must have at least one message.", param="messages")
    if limit is not None and limit < 1:
        raise InvalidRequest("The output limit must be at least 1 token.", param="max_tokens")
    if not 1 <= choices <= MAX_CHOICES:
        raise InvalidRequest(f"'n' must be between 1 and {MAX_CHOICES}.", param="n")
    return ChatCall(
        model=chat.model,
        stream=bool(chat.stream),
        wants_usage=chat.stream_options is not None and chat.stream_options.include_usage,
        max_tokens=limit,
        choices=choices,
        body=body,
        fields=fields,
    )


class OpenAIDialect:
    """The Dialect of OpenAI's clients; see gateway/dialect.py."""

    heartbeat = b": ping\n\n"

    def __init__(self) -> None:
        """One encoder serves every call: it keeps nothing."""
        self._encoder = OpenAIEncoder()

    def credential(self, scope: Scope) -> str | None:
        """Return the bearer token."""
        return bearer(header(scope, b"authorization"))

    def parse(self, body: bytes, scope: Scope) -> ChatCall:
        """Read a chat request."""
        return parse_chat(body)

    def encoder(self) -> OpenAIEncoder:
        """Return what writes the answer."""
        return self._encoder
