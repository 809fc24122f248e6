"""The Anthropic dialect of a chat call: POST /v1/messages."""

from __future__ import annotations

from typing import Annotated

import msgspec

from deepspace.gateway.anthropic.encode import AnthropicEncoder
from deepspace.gateway.asgi import Scope, header
from deepspace.gateway.dialect import InvalidRequest, read_fields
from deepspace.kit.web import bearer
from deepspace.pipeline.exchange import ChatCall

_GO_ALONG = (b"anthropic-version", b"anthropic-beta")
"""Headers that a channel of the same dialect gets as well."""


class _Message(msgspec.Struct):
    role: str
    content: str | list[dict[str, msgspec.Raw]]


class _MessagesBody(msgspec.Struct):
    """The fields the platform itself reads; every other field passes through untouched."""

    model: Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
    messages: list[_Message]
    max_tokens: int | None = None
    stream: bool | None = None


_body_decoder = msgspec.json.Decoder(_MessagesBody)


def parse_messages(body: bytes, scope: Scope, *, counts_only: bool = False) -> ChatCall:
    """Read a Messages request; InvalidJson or InvalidRequest with the field at fault. A request to count
    tokens has no output limit."""
    asked, fields = read_fields(body, _body_decoder)
    if not asked.messages:
        raise InvalidRequest("'messages' must have at least one message.", param="messages")
    if asked.max_tokens is None and not counts_only:
        raise InvalidRequest("'max_tokens' is missing.", param="max_tokens")
    if asked.max_tokens is not None and asked.max_tokens < 1:
        raise InvalidRequest("The output limit must be at least 1 token.", param="max_tokens")
    given = [(name.decode(), header(scope, name)) for name in _GO_ALONG]
    return ChatCall(
        model=asked.model,
        stream=bool(asked.stream),
        wants_usage=True,
        max_tokens=asked.max_tokens,
        choices=1,
        body=body,
        fields=fields,
        dialect="anthropic",
        headers=tuple((name, value) for name, value in given if value is not None),
    )


def credential_of(scope: Scope) -> str | None:
    """Return the caller's credential: `x-api-key`, or a bearer token."""
    return header(scope, b"x-api-key") or bearer(header(scope, b"authorization"))


class AnthropicDialect:
    """The Dialect of Anthropic's clients; see gateway/dialect.py."""

    heartbeat = b'event: ping\ndata: {"type":"ping"}\n\n'

    def credential(self, scope: Scope) -> str | None:
        """Return the API key or token."""
        return credential_of(scope)

    def parse(self, body: bytes, scope: Scope) -> ChatCall:
        """Read a Messages request."""
        return parse_messages(body, scope)

    def encoder(self) -> AnthropicEncoder:
        """Return what writes the answer of one call; it remembers which block of content is open."""
        return AnthropicEncoder()
