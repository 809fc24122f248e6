"""POST /v1/completions, the API before chat: the prompt becomes the one message of a user.

Source: platform.openai.com/docs/api-reference/completions. The model answers the prompt instead of going on
with it; what only a going-on could mean, `suffix` and `echo`, is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, cast

import msgspec

from deepspace.gateway.asgi import Scope, header
from deepspace.gateway.dialect import InvalidRequest, UnsupportedFeature, read_fields
from deepspace.gateway.openai.chat import MAX_CHOICES
from deepspace.gateway.openai.encode import usage_object
from deepspace.gateway.openai.errors import error_body
from deepspace.kit.errors import PlatformError
from deepspace.kit.sse import encode_event
from deepspace.kit.web import bearer
from deepspace.pipeline.exchange import ChatCall, Exchange
from deepspace.upstream.anthropic.words import JSON, fields_of, object_of, objects_of

MAX_LOGPROBS = 20

_AS_IT_IS = (
    "model",
    "max_tokens",
    "temperature",
    "top_p",
    "n",
    "stop",
    "stream",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "user",
)


class _StreamOptions(msgspec.Struct):
    include_usage: bool = False


class _CompletionBody(msgspec.Struct):
    """The fields the platform itself reads."""

    model: Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
    prompt: msgspec.Raw
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: int | None = None
    n: int | None = None
    best_of: int | None = None
    logprobs: int | None = None
    echo: bool | None = None
    suffix: str | None = None


_body_decoder = msgspec.json.Decoder(_CompletionBody)


def parse_completion(body: bytes) -> ChatCall:
    """Read a completion request; InvalidJson, InvalidRequest or UnsupportedFeature with the field at
    fault."""
    asked, raw = read_fields(body, _body_decoder)
    fields = fields_of(raw)
    choices = asked.n if asked.n is not None else 1
    _prompt(fields["prompt"])
    if asked.echo:
        raise UnsupportedFeature(
            "'echo' is not offered here; put the prompt in front yourself.", param="echo"
        )
    if asked.suffix:
        raise UnsupportedFeature(
            "'suffix' is not offered here: a model asked by a message cannot fill in.", param="suffix"
        )
    if asked.best_of not in {None, choices}:
        raise UnsupportedFeature("'best_of' must be equal to 'n', or left out.", param="best_of")
    if asked.max_tokens is not None and asked.max_tokens < 1:
        raise InvalidRequest("The output limit must be at least 1 token.", param="max_tokens")
    if not 1 <= choices <= MAX_CHOICES:
        raise InvalidRequest(f"'n' must be between 1 and {MAX_CHOICES}.", param="n")
    if asked.logprobs is not None and not 0 <= asked.logprobs <= MAX_LOGPROBS:
        raise InvalidRequest(f"'logprobs' must be between 0 and {MAX_LOGPROBS}.", param="logprobs")
    return ChatCall(
        model=asked.model,
        stream=bool(asked.stream),
        wants_usage=asked.stream_options is not None and asked.stream_options.include_usage,
        max_tokens=asked.max_tokens,
        choices=choices,
        body=msgspec.json.encode(fields),  # what is meant, in one spelling: it is what the hold bounds
        fields=fields,
        dialect="completions",
    )


def chat_request(asked: Mapping[str, Any]) -> JSON:
    """Return the chat request that asks the model what `asked` asks it."""
    made: JSON = {name: asked[name] for name in _AS_IT_IS if asked.get(name) is not None}
    made["messages"] = [{"role": "user", "content": _prompt(asked.get("prompt"))}]
    if asked.get("logprobs") is not None:
        made |= {"logprobs": True, "top_logprobs": asked["logprobs"]}
    return made


def _prompt(given: Any) -> str:
    """Return the prompt: a text, or a list of one."""
    texts = cast("list[Any]", given) if isinstance(given, list) else [given]
    prompt = texts[0] if len(texts) == 1 else None
    if len(texts) > 1 or isinstance(prompt, list):
        raise UnsupportedFeature(
            "'prompt' must be one text: send several prompts as several calls, and texts instead of tokens.",
            param="prompt",
        )
    if not isinstance(prompt, str) or not prompt:
        raise InvalidRequest("'prompt' must be a text.", param="prompt")
    return prompt


class CompletionEncoder:
    """The Encoder of this dialect, for one call; see pipeline/exchange.py."""

    content_type = "application/json"

    def __init__(self) -> None:
        """Nothing was written yet."""
        self._written: dict[int, int] = {}

    def inner(self, call: ChatCall) -> Mapping[str, Any]:
        """Return the call as a chat request."""
        return chat_request(fields_of(call.fields))

    def frame(self, x: Exchange, data: bytes) -> bytes:
        """Return a chunk as an event; nothing for one that says nothing in this dialect."""
        chunk = object_of(msgspec.json.decode(data))
        choices = [
            self._choice(choice, object_of(choice.get("delta")))
            for choice in objects_of(chunk.get("choices"))
        ]
        told = [choice for choice in choices if choice["text"] or choice["finish_reason"]]
        return encode_event(msgspec.json.encode(_completion(x, chunk, told))) if told else b""

    def whole(self, x: Exchange) -> bytes:
        """Return the completion with the cost in its usage."""
        chat = object_of(msgspec.json.decode(x.answer or b"{}"))
        self._written.clear()  # asked twice, it says the same
        choices = [
            self._choice(choice, object_of(choice.get("message")))
            for choice in objects_of(chat.get("choices"))
        ]
        usage = msgspec.Raw(msgspec.json.encode(chat.get("usage")))
        return msgspec.json.encode({**_completion(x, chat, choices), "usage": usage_object(x, usage)})

    def tail(self, x: Exchange, error: PlatformError | None) -> bytes:
        """Return the end of a stream: an error event, or the usage with its cost if asked for, and [DONE]."""
        if error is not None:
            return encode_event(error_body(error, x.trace_id), b"error")
        usage = b""
        if x.call.wants_usage:
            chunk = object_of(msgspec.json.decode(x.usage_event or x.last_event or b"{}"))
            reported = msgspec.Raw(msgspec.json.encode(chunk.get("usage")))
            told = {**_completion(x, chunk, []), "usage": usage_object(x, reported)}
            usage = encode_event(msgspec.json.encode(told))
        return usage + encode_event(b"[DONE]")

    def error(self, x: Exchange, error: PlatformError) -> bytes:
        """Return the error object."""
        return error_body(error, x.trace_id)

    def _choice(self, choice: JSON, said: JSON) -> JSON:
        index = int(choice.get("index") or 0)
        text = str(said.get("content") or said.get("refusal") or "")
        offset = self._written.get(index, 0)
        self._written[index] = offset + len(text)
        return {
            "index": index,
            "text": text,
            "logprobs": logprobs_of(object_of(choice.get("logprobs")), offset),
            "finish_reason": choice.get("finish_reason"),
        }


def _completion(x: Exchange, chat: JSON, choices: list[JSON]) -> JSON:
    made = {
        "id": f"cmpl-{x.trace_id}",
        "object": "text_completion",
        "created": chat.get("created") or int(x.started_at.timestamp()),
        "model": chat.get("model") or x.call.model,
        "choices": choices,
    }
    mark = chat.get("system_fingerprint")
    return {**made, "system_fingerprint": mark} if mark else made


def logprobs_of(told: JSON, offset: int) -> JSON | None:
    """Return log probabilities in the form of this API, in which each token has its place in the text."""
    entries = objects_of(told.get("content"))
    if not entries:
        return None
    offsets: list[int] = []
    for entry in entries:
        offsets.append(offset)
        offset += len(str(entry.get("token")))
    return {
        "tokens": [entry.get("token") for entry in entries],
        "token_logprobs": [entry.get("logprob") for entry in entries],
        "top_logprobs": [
            {str(other.get("token")): other.get("logprob") for other in objects_of(entry.get("top_logprobs"))}
            for entry in entries
        ],
        "text_offset": offsets,
    }


class CompletionDialect:
    """The Dialect of completions; see gateway/dialect.py."""

    heartbeat = b": ping\n\n"

    def credential(self, scope: Scope) -> str | None:
        """Return the bearer token."""
        return bearer(header(scope, b"authorization"))

    def parse(self, body: bytes, scope: Scope) -> ChatCall:
        """Read a completion request."""
        return parse_completion(body)

    def encoder(self) -> CompletionEncoder:
        """Return what writes the answer of one call; it remembers how much text was written."""
        return CompletionEncoder()
