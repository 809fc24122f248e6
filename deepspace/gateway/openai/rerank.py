"""POST /v1/rerank, in the form that Cohere and Jina have in common. Sources: their API references."""

from __future__ import annotations

from typing import Annotated

import msgspec

from deepspace.billing.rates import Usage
from deepspace.gateway.asgi import Scope
from deepspace.gateway.dialect import ModelName, read_fields
from deepspace.gateway.openai.bounds import MEDIA_TOKENS, most_tokens
from deepspace.gateway.openai.operations import call_of
from deepspace.pipeline.exchange import ChatCall
from deepspace.pipeline.operation import Operation
from deepspace.upstream.wire import estimate_tokens

PAIR_TOKENS = 32
"""Marks and a template that a model may put around a query and a document."""

PIECE_TOKENS = 256
"""A long document may be read in pieces, each with the query before it; nobody's are shorter than this."""

Text = str | dict[str, msgspec.Raw]


class _RerankBody(msgspec.Struct):
    """The fields the platform itself reads; every other field passes through untouched."""

    model: ModelName
    query: Text
    documents: Annotated[list[Text], msgspec.Meta(min_length=1)]


_body_decoder = msgspec.json.Decoder(_RerankBody)


def parse_rerank(body: bytes, scope: Scope) -> ChatCall:
    """Read a request; InvalidJson or InvalidRequest with the field at fault."""
    asked, fields = read_fields(body, _body_decoder)
    query = _bound(asked.query) + PAIR_TOKENS
    documents = [_bound(document) for document in asked.documents]
    said = estimate_tokens(_text(asked.query)) * len(documents)
    operation = Operation(
        path="/rerank",
        input_bound=sum([size + query * (1 + size // PIECE_TOKENS) for size in documents]) + PAIR_TOKENS,
        counted=Usage(input=said + sum([estimate_tokens(_text(document)) for document in asked.documents])),
        answers_with=("results", "data"),
    )
    return call_of(asked.model, body, operation, fields=fields)


def _text(given: Text) -> str:
    return given if isinstance(given, str) else msgspec.json.encode(given).decode()


def _bound(given: Text) -> int:
    media = 0 if isinstance(given, str) else sum(["image" in name for name in given])
    return most_tokens(_text(given)) + media * MEDIA_TOKENS
