"""Reading the platform's inner language, OpenAI chat, from a channel. Source: OpenAI API reference, chat
object."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from deepspace.upstream.errors import ContextTooLong, UpstreamError, UpstreamRejected

_ABSENT = msgspec.Raw(b"null")
"""`Raw | None` would take null and nothing else, so Raw alone stands for "anything, or nothing"."""


class _PromptDetails(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    audio_tokens: int | None = None


class _CompletionDetails(msgspec.Struct):
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None


class WireUsage(msgspec.Struct):
    """The `usage` object. Details are parts of the totals."""

    prompt_tokens: int
    completion_tokens: int = 0
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None

    def classes(self) -> dict[str, int] | None:
        """Return disjoint token classes, or None if the figures contradict themselves (negative, parts >
        whole)."""
        prompt, completion = self.prompt_tokens_details, self.completion_tokens_details
        cached = (prompt.cached_tokens or 0) if prompt else 0
        written = (prompt.cache_write_tokens or 0) if prompt else 0
        written_1h = (prompt.cache_write_1h_tokens or 0) if prompt else 0
        audio_in = (prompt.audio_tokens or 0) if prompt else 0
        reasoning = (completion.reasoning_tokens or 0) if completion else 0
        audio_out = (completion.audio_tokens or 0) if completion else 0
        found = {
            "input": self.prompt_tokens - cached - written - written_1h - audio_in,
            "cached_input": cached,
            "cache_write": written,
            "cache_write_1h": written_1h,
            "audio_input": audio_in,
            "output": self.completion_tokens - reasoning - audio_out,
            "reasoning": reasoning,
            "audio_output": audio_out,
        }
        return found if min(found.values()) >= 0 and max(found.values()) < 2**40 else None


class _Delta(msgspec.Struct):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: msgspec.Raw = _ABSENT


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    message: _Delta | None = None
    text: str | None = None
    finish_reason: str | None = None


class _Answer(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: WireUsage | None = None
    error: msgspec.Raw = _ABSENT


class Seen(msgspec.Struct, frozen=True, gc=False):
    """What one event or body says: text delivered, whether it has choices, usage if stated, an error if
    told. One is made for every event, so it is of the kind that is made fastest."""

    has_choices: bool
    text: str
    finished: bool
    usage: WireUsage | None
    error: str | None


_answer_decoder = msgspec.json.Decoder(_Answer)
_loose_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])


def read_answer(payload: bytes) -> Seen:
    """Read a chunk or a whole answer; UpstreamError if it is neither."""
    try:
        answer = _answer_decoder.decode(payload)
    except msgspec.ValidationError:
        answer = _without_usage(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise UpstreamError("The provider's answer is not valid JSON.") from None
    choices = answer.choices or []
    error = error_message(payload) if _is_given(answer.error) else None
    if len(choices) == 1:  # nearly always
        return Seen(True, _text(choices[0]), bool(choices[0].finish_reason), answer.usage, error)
    text = "".join([_text(choice) for choice in choices])
    finished = any(choice.finish_reason for choice in choices)
    return Seen(bool(choices), text, finished, answer.usage, error)


def only_adds_text(payload: bytes) -> bool:
    """Tell whether a chunk says nothing but more of the text: no usage, no error, no end. Then it need not be
    read before the text is asked for. A quote inside a JSON string has a backslash before it, so what stands
    in a text is not taken for a field; a chunk that is written otherwise, or is no UTF-8, is read."""
    return (
        b'"choices"' in payload
        and b'"error"' not in payload
        and (b'"usage"' not in payload or payload.count(b'"usage"') == payload.count(b'"usage":null'))
        and payload.count(b'"finish_reason"') == payload.count(b'"finish_reason":null')
        and (payload.isascii() or _is_utf8(payload))
    )


def _is_utf8(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_given(raw: msgspec.Raw) -> bool:
    """Tell whether a field is there and not null."""
    return raw is not _ABSENT and bytes(raw) != b"null"


def _text(choice: _Choice) -> str:
    part = choice.delta or choice.message
    if part is None:
        return choice.text or ""
    told = f"{part.reasoning_content or part.reasoning or ''}{part.content or part.refusal or ''}"
    if _is_given(part.tool_calls):
        told += bytes(part.tool_calls).decode(errors="replace")
    return told


def _without_usage(payload: bytes) -> _Answer:
    """Read an answer whose usage is nonsense; without it the tokens are counted."""
    try:
        fields = _loose_decoder.decode(payload)
        fields.pop("usage", None)
        return _answer_decoder.decode(msgspec.json.encode(fields))
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise UpstreamError("The provider's answer is not of the expected form.") from None


def error_message(payload: bytes) -> str:
    """Return the sentence in an error body, whatever its form, cut to a readable length.

    A NUL becomes U+FFFD: the sentence is journalled, and PostgreSQL takes none.
    """
    try:
        body: Any = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _readable(payload[:300].decode(errors="replace").strip())
    for name in ("error", "message"):
        if isinstance(body, dict):
            body = cast("dict[str, Any]", body).get(name, body)
    return _readable(str(body)[:1000])


def _readable(text: str) -> str:
    return text.replace("\x00", "\ufffd")


_TOO_LONG = (
    b"context_length_exceeded",  # OpenAI, and those who copy its codes
    b"maximum context length",  # OpenAI, vLLM, DeepSeek
    b"prompt is too long",  # Anthropic
    b"exceed_context_size",  # llama.cpp
    b"range of input length",  # DashScope (Qwen)
)
"""What providers write, in lower case, when a request is longer than the model's context."""


def rejected(status: int, payload: bytes) -> UpstreamRejected:
    """Return the error for a request the provider found at fault (a 4xx that is not about our credential)."""
    told = payload.lower()
    error = ContextTooLong if any(words in told for words in _TOO_LONG) else UpstreamRejected
    return error(f"The provider refused the request ({status}): {error_message(payload)}")


def estimate_tokens(text: str) -> int:
    """Estimate tokens of a text: one per four ASCII bytes, one per other character, at least one if there is
    any.

    Used only when the provider states no usage; the record is then marked `estimated` (docs/billing.md).
    """
    if not text:
        return 0
    narrow = len(text) if text.isascii() else len(text.encode("ascii", "ignore"))
    return max(1, -(-narrow // 4) + len(text) - narrow)
