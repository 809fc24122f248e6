"""Usage as providers state it in answers that are no chat. Sources: OpenAI API reference (embeddings, images,
audio), Cohere and Jina API references (rerank)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import msgspec

Produced = Literal["output", "image_output", "audio_output"]


class _Details(msgspec.Struct):
    text_tokens: int | None = None
    image_tokens: int | None = None
    audio_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    """Every form at once: a provider states those fields that its address has."""

    prompt_tokens: int | None = None
    input_tokens: int | None = None
    completion_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    seconds: float | None = None
    prompt_tokens_details: _Details | None = None
    input_tokens_details: _Details | None = None
    input_token_details: _Details | None = None
    output_tokens_details: _Details | None = None
    output_token_details: _Details | None = None
    completion_tokens_details: _Details | None = None


class _Meta(msgspec.Struct):
    """Where Cohere states usage."""

    tokens: _Usage | None = None
    billed_units: _Usage | None = None


_usage_decoder = msgspec.json.Decoder(_Usage | None)
_meta_decoder = msgspec.json.Decoder(_Meta | None)


def usage_classes(fields: Mapping[str, msgspec.Raw], produced: Produced) -> dict[str, int] | None:
    """Return disjoint token classes of an answer; None if it states none, or figures that contradict
    themselves.

    `produced` is the class of what came out where the provider does not break it down. Audio that is stated
    in seconds is `audio_input`, a token for each second begun.
    """
    try:
        stated = _usage_decoder.decode(fields["usage"]) if "usage" in fields else None
        if stated is None and "meta" in fields:
            meta = _meta_decoder.decode(fields["meta"])
            stated = (meta.tokens or meta.billed_units) if meta is not None else None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    found = _classes(stated, produced) if stated is not None else None
    return found if found and min(found.values()) >= 0 and max(found.values()) < 2**40 else None


def _classes(stated: _Usage, produced: Produced) -> dict[str, int] | None:
    told = _first(stated.completion_tokens, stated.output_tokens) or 0
    asked = _first(stated.prompt_tokens, stated.input_tokens)
    if asked is None and stated.total_tokens is not None:
        asked = stated.total_tokens - told
    if asked is None:
        seconds = stated.seconds
        if seconds is None or not 0 <= seconds < 2**40:
            return None
        return {"audio_input": math.ceil(seconds), produced: told}
    into = (
        stated.prompt_tokens_details
        or stated.input_tokens_details
        or stated.input_token_details
        or _Details()
    )
    out_of = (
        stated.completion_tokens_details
        or stated.output_tokens_details
        or stated.output_token_details
        or _Details()
    )
    cached, image, audio = into.cached_tokens or 0, into.image_tokens or 0, into.audio_tokens or 0
    found = {
        "input": asked - cached - image - audio,
        "cached_input": cached,
        "image_input": image,
        "audio_input": audio,
    }
    parts = {
        "reasoning": out_of.reasoning_tokens or 0,
        "image_output": out_of.image_tokens or 0,
        "audio_output": out_of.audio_tokens or 0,
        "output": (out_of.text_tokens or 0) if produced != "output" else 0,
    }
    parts[produced] += told - sum(parts.values())
    return {**found, **parts}


def _first(one: int | None, other: int | None) -> int | None:
    return one if one is not None else other
