"""POST /v1/embeddings. Source: OpenAI API reference, embeddings."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from deepspace.billing.rates import Usage
from deepspace.gateway.asgi import Scope
from deepspace.gateway.dialect import InvalidRequest, ModelName, read_fields
from deepspace.gateway.openai.bounds import MEDIA_TOKENS, most_tokens
from deepspace.gateway.openai.operations import call_of
from deepspace.pipeline.exchange import ChatCall
from deepspace.pipeline.operation import Operation
from deepspace.upstream.wire import estimate_tokens

INPUT_TOKENS = 16
"""Tokens that a model may add to each input: its marks, and a prefix such as `passage: `."""

Item = str | int | list[int] | dict[str, msgspec.Raw]


class _EmbeddingsBody(msgspec.Struct):
    """The fields the platform itself reads; every other field passes through untouched."""

    model: ModelName
    input: str | list[Item]


_body_decoder = msgspec.json.Decoder(_EmbeddingsBody)


def parse_embeddings(body: bytes, scope: Scope) -> ChatCall:
    """Read a request; InvalidJson or InvalidRequest with the field at fault."""
    asked, fields = read_fields(body, _body_decoder)
    items: Sequence[Item] = [asked.input] if isinstance(asked.input, str) else asked.input
    if not items:
        raise InvalidRequest("'input' is empty.", param="input")
    operation = Operation(
        path="/embeddings",
        input_bound=sum([_bound(item) for item in items]) + INPUT_TOKENS,
        counted=Usage(input=sum([_estimate(item) for item in items])),
        answers_with=("data",),
    )
    return call_of(asked.model, body, operation, fields=fields)


def _bound(item: Item) -> int:
    """Return the most tokens of one input. A list of numbers is either one text in tokens or many of them; as
    many marks as there are numbers cover both."""
    if isinstance(item, str):
        return most_tokens(item) + INPUT_TOKENS
    if isinstance(item, int):
        return 1
    if isinstance(item, list):
        return len(item) + INPUT_TOKENS
    return most_tokens(_text(item)) + INPUT_TOKENS + MEDIA_TOKENS * _media(item)


def _estimate(item: Item) -> int:
    if isinstance(item, str):
        return estimate_tokens(item)
    if isinstance(item, int):
        return 1
    return len(item) if isinstance(item, list) else estimate_tokens(_text(item))


def _text(item: dict[str, msgspec.Raw]) -> str:
    return msgspec.json.encode(item).decode()


def _media(item: dict[str, msgspec.Raw]) -> int:
    """Return how many images or the like an input of several kinds may name: every field but its text."""
    return sum([name not in {"text", "type"} for name in item])
