"""POST /v1/audio/transcriptions, /translations and /speech. Source: OpenAI API reference, audio."""

from __future__ import annotations

import msgspec

from deepspace.billing.rates import Usage
from deepspace.gateway.asgi import Scope, header
from deepspace.gateway.dialect import InvalidRequest, ModelName, read_fields
from deepspace.gateway.openai.bounds import most_tokens
from deepspace.gateway.openai.forms import flag, model_of, sent_as
from deepspace.gateway.openai.multipart import read_form
from deepspace.gateway.openai.operations import call_of
from deepspace.pipeline.exchange import ChatCall
from deepspace.pipeline.operation import EVENTS, JSON, Operation

PROMPT_TOKENS = 512
"""Tokens that a provider may add of its own."""

BYTES_A_SECOND = 16_000
"""How long a recording is taken to last where the provider does not say: MP3 at 128 kbit/s."""


class _SpeechBody(msgspec.Struct):
    """The fields the platform itself reads; every other field passes through untouched."""

    model: ModelName
    input: str
    instructions: str | None = None


_speech_decoder = msgspec.json.Decoder(_SpeechBody)


def parse_speech(body: bytes, scope: Scope) -> ChatCall:
    """Read a request for speech; InvalidJson or InvalidRequest with the field at fault.

    The answer is sound, or events with sound in them, and goes through as it comes. Sound states no usage:
    then the characters of the text are counted as `input`, as providers price it.
    """
    asked, fields = read_fields(body, _speech_decoder)
    if not asked.input:
        raise InvalidRequest("'input' is empty.", param="input")
    operation = Operation(
        path="/audio/speech",
        input_bound=most_tokens(asked.input) + most_tokens(asked.instructions or "") + PROMPT_TOKENS,
        output_bound=None,
        counted=Usage(input=len(asked.input)),
        produces="audio_output",
        answer_types=("audio/", "application/octet-stream", EVENTS),
    )
    return call_of(asked.model, body, operation, fields=fields, stream=True)


def parse_transcriptions(body: bytes, scope: Scope) -> ChatCall:
    """Read a form with a recording to write down."""
    return _written(body, scope, "/audio/transcriptions")


def parse_translations(body: bytes, scope: Scope) -> ChatCall:
    """Read a form with a recording to write down in English."""
    return _written(body, scope, "/audio/translations")


def _written(body: bytes, scope: Scope, path: str) -> ChatCall:
    """Read a form with a recording. No recording has more tokens, or seconds, than bytes."""
    form = read_form(body, header(scope, b"content-type"))
    recording = [part for part in form.files if part.name == "file"]
    if len(recording) != 1:
        raise InvalidRequest("The form must have one file with the name 'file'.", param="file")
    size = recording[0].end - recording[0].start
    operation = Operation(
        path=path,
        input_bound=len(body) + PROMPT_TOKENS,
        is_input_within_context=True,
        output_bound=None,
        counted=Usage(audio_input=size // BYTES_A_SECOND + 1),
        answers_with=("text",),
        answer_types=(JSON, "text/"),
    )
    sent = sent_as(operation, form)
    return call_of(model_of(form), body, sent, fields=form.texts(), stream=flag(form, "stream"))
