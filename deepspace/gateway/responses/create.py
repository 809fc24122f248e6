"""The Responses dialect of a chat call: POST /v1/responses."""

from __future__ import annotations

from typing import Annotated

import msgspec

from deepspace.gateway.asgi import Scope, header
from deepspace.gateway.dialect import InvalidRequest, read_fields
from deepspace.gateway.responses.encode import ResponsesEncoder
from deepspace.gateway.responses.request import chat_request
from deepspace.kit.web import bearer
from deepspace.pipeline.exchange import ChatCall
from deepspace.upstream.anthropic.words import fields_of


class _ResponsesBody(msgspec.Struct):
    """The fields whose form matters before they are translated."""

    model: Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
    input: str | list[dict[str, msgspec.Raw]] | None = None
    instructions: str | None = None
    max_output_tokens: int | None = None
    stream: bool | None = None
    tools: list[dict[str, msgspec.Raw]] | None = None
    tool_choice: str | dict[str, msgspec.Raw] | None = None
    parallel_tool_calls: bool | None = None
    text: dict[str, msgspec.Raw] | None = None
    reasoning: dict[str, msgspec.Raw] | None = None
    metadata: dict[str, msgspec.Raw] | None = None
    include: list[str] | None = None
    truncation: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_logprobs: int | None = None


_body_decoder = msgspec.json.Decoder(_ResponsesBody)


def parse_response(body: bytes) -> ChatCall:
    """Read a Responses request; InvalidJson, InvalidRequest, StateNotKept or UnsupportedFeature with the
    field at fault. What cannot be translated is refused here, before any money is held."""
    asked, raw = read_fields(body, _body_decoder)
    fields = fields_of(raw)
    if asked.max_output_tokens is not None and asked.max_output_tokens < 1:
        raise InvalidRequest("The output limit must be at least 1 token.", param="max_output_tokens")
    chat_request(fields)
    return ChatCall(
        model=asked.model,
        stream=bool(asked.stream),
        wants_usage=True,
        max_tokens=asked.max_output_tokens,
        choices=1,
        body=msgspec.json.encode(fields),  # what is meant, in one spelling: it is what the hold bounds
        fields=fields,
        dialect="responses",
    )


class ResponsesDialect:
    """The Dialect of the Responses API; see gateway/dialect.py."""

    heartbeat = b": ping\n\n"

    def credential(self, scope: Scope) -> str | None:
        """Return the bearer token."""
        return bearer(header(scope, b"authorization"))

    def parse(self, body: bytes, scope: Scope) -> ChatCall:
        """Read a Responses request."""
        return parse_response(body)

    def encoder(self) -> ResponsesEncoder:
        """Return what writes the answer of one call; it remembers which items are open."""
        return ResponsesEncoder()
