"""POST /v1/images/generations and /v1/images/edits. Source: OpenAI API reference, images."""

from __future__ import annotations

from typing import Annotated

import msgspec

from deepspace.billing.rates import Usage
from deepspace.gateway.asgi import Scope, header
from deepspace.gateway.dialect import InvalidRequest, ModelName, read_fields
from deepspace.gateway.openai.bounds import most_tokens
from deepspace.gateway.openai.forms import demanded, flag, model_of, number, sent_as
from deepspace.gateway.openai.multipart import read_form
from deepspace.gateway.openai.operations import call_of
from deepspace.pipeline.exchange import ChatCall
from deepspace.pipeline.operation import EVENTS, JSON, Operation
from deepspace.upstream.wire import estimate_tokens

MAX_IMAGES = 100
PROMPT_TOKENS = 512
"""Tokens that a provider may add to a prompt of its own."""

IMAGE_TOKENS = 8192
"""Most tokens of one image, in or out; the dearest published are 6,240, and 100 for each partial image."""

USUAL_IMAGE_TOKENS = 1056
"""What an image is taken to have where the provider states no usage: 1024 × 1024 in medium quality."""

Count = Annotated[int, msgspec.Meta(ge=1, le=MAX_IMAGES)]


class _ImagesBody(msgspec.Struct):
    """The fields the platform itself reads; every other field passes through untouched."""

    model: ModelName
    prompt: str
    n: Count | None = None
    stream: bool | None = None


_body_decoder = msgspec.json.Decoder(_ImagesBody)


def parse_generations(body: bytes, scope: Scope) -> ChatCall:
    """Read a request for images; InvalidJson or InvalidRequest with the field at fault."""
    asked, fields = read_fields(body, _body_decoder)
    operation = _operation("/images/generations", asked.prompt, asked.n or 1)
    return call_of(asked.model, body, operation, fields=fields, stream=bool(asked.stream))


def parse_edits(body: bytes, scope: Scope) -> ChatCall:
    """Read a form with images to change; InvalidRequest with the field at fault."""
    form = read_form(body, header(scope, b"content-type"))
    images = len(form.files)
    if not 0 < images <= MAX_IMAGES:
        raise InvalidRequest("The form has no image, or too many.", param="image")
    operation = _operation(
        "/images/edits", demanded(form, "prompt"), number(form, "n", 1, MAX_IMAGES), images=images
    )
    return call_of(
        model_of(form), body, sent_as(operation, form), fields=form.texts(), stream=flag(form, "stream")
    )


def _operation(path: str, prompt: str, count: int, images: int = 0) -> Operation:
    return Operation(
        path=path,
        input_bound=most_tokens(prompt) + PROMPT_TOKENS + images * IMAGE_TOKENS,
        output_bound=count * IMAGE_TOKENS,
        counted=Usage(
            input=estimate_tokens(prompt),
            image_input=images * USUAL_IMAGE_TOKENS,
            image_output=count * USUAL_IMAGE_TOKENS,
        ),
        things=count,
        produces="image_output",
        answers_with=("data",),
        answer_types=(JSON, EVENTS),
    )
