"""Whatever JSON comes for the translated dialects, it is a call or a refusal, never a fault of ours."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from deepspace.gateway.dialect import InvalidRequest, UnsupportedFeature
from deepspace.gateway.openai import completions
from deepspace.gateway.openai.completions import parse_completion
from deepspace.gateway.responses import request as responses
from deepspace.gateway.responses.create import parse_response
from deepspace.gateway.responses.errors import StateNotKept
from deepspace.upstream.anthropic.request import messages_request
from deepspace.upstream.anthropic.words import Untranslatable

REFUSALS = (InvalidRequest, UnsupportedFeature, StateNotKept, Untranslatable)

ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "a", "auto", "function", "user"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "a"]), inner, max_size=2)
    ),
    max_leaves=4,
)
KINDS = st.sampled_from(
    [
        *("message", "reasoning", "function_call", "function_call_output", "item_reference", "other"),
        *("input_text", "output_text", "refusal", "input_image", "input_file", "function", "allowed_tools"),
    ]
)
NAMES = st.sampled_from(
    [
        *(
            "role",
            "content",
            "text",
            "summary",
            "encrypted_content",
            "name",
            "arguments",
            "call_id",
            "output",
        ),
        *("image_url", "file_data", "tools", "mode", "parameters", "strict", "format", "schema", "effort"),
    ]
)
THING = st.builds(
    lambda kind, fields: {"type": kind, **fields}, KINDS, st.dictionaries(NAMES, ANY, max_size=4)
)
VALUE = ANY | THING | st.lists(THING, max_size=4)
NESTED = st.builds(lambda thing, inner: {**thing, "content": inner, "tools": inner}, THING, st.lists(THING))
FIELDS = st.sampled_from(
    [
        *("input", "instructions", "tools", "tool_choice", "text", "reasoning", "truncation", "include"),
        *("metadata", "top_logprobs", "max_output_tokens", "conversation", "background", "stream"),
        *("prompt", "suffix", "echo", "n", "logprobs", "stop", "best_of", "max_tokens", "stream_options"),
    ]
)
BODY = st.dictionaries(FIELDS, VALUE | st.lists(NESTED, max_size=2), max_size=5)


@given(BODY)
@example({"input": "a", "tool_choice": []})
@example({"input": "a", "truncation": []})
@example(
    {"input": "a", "tools": [{"type": "function", "name": []}], "tool_choice": {"type": "allowed_tools"}}
)
def test_a_response(body: dict[str, Any]) -> None:
    with suppress(*REFUSALS):
        call = parse_response(json.dumps({"input": "a", "model": "m", **body}).encode())
        chat = responses.chat_request(call.fields)
        assert chat["messages"]
        messages_request(chat, model="m", max_tokens=9)


@given(BODY)
def test_a_completion(body: dict[str, Any]) -> None:
    with suppress(*REFUSALS):
        call = parse_completion(json.dumps({"prompt": "a", "model": "m", **body}).encode())
        chat = completions.chat_request(call.fields)
        assert chat["messages"][0]["content"]
        messages_request(chat, model="m", max_tokens=9)
