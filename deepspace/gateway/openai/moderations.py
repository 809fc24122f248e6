"""POST /v1/moderations. Source: OpenAI API reference, moderations."""

from __future__ import annotations

import msgspec

from deepspace.billing.rates import Usage
from deepspace.gateway.asgi import Scope
from deepspace.gateway.dialect import ModelName, read_fields
from deepspace.gateway.openai.operations import call_of
from deepspace.pipeline.exchange import ChatCall
from deepspace.pipeline.operation import Operation
from deepspace.pipeline.steps.budget_hold import input_bound
from deepspace.upstream.wire import estimate_tokens

DEFAULT_MODEL = "omni-moderation-latest"


class _ModerationsBody(msgspec.Struct):
    """The fields the platform itself reads; every other field passes through untouched."""

    input: str | list[str | dict[str, msgspec.Raw]]
    model: ModelName = DEFAULT_MODEL


_body_decoder = msgspec.json.Decoder(_ModerationsBody)


def parse_moderations(body: bytes, scope: Scope) -> ChatCall:
    """Read a request; InvalidJson or InvalidRequest with the field at fault. Without a model the provider's
    default is meant."""
    asked, fields = read_fields(body, _body_decoder)
    texts = [asked.input] if isinstance(asked.input, str) else asked.input
    written = [text if isinstance(text, str) else msgspec.json.encode(text).decode() for text in texts]
    operation = Operation(
        path="/moderations",
        input_bound=input_bound(body),
        counted=Usage(input=sum([estimate_tokens(text) for text in written])),
        answers_with=("results",),
    )
    return call_of(asked.model, body, operation, fields=fields)
