"""Requests, out of the inner language and back: what both dialects can say survives the round trip."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepspace.gateway.anthropic.request import chat_request
from deepspace.upstream.anthropic.request import arguments_of, messages_request, source_of
from deepspace.upstream.anthropic.words import Untranslatable, tool_id

JSON = dict[str, Any]

FIELDS = (
    *("messages", "content", "role", "type", "text", "source", "tools", "tool_choice", "function", "name"),
    *(
        "tool_calls",
        "arguments",
        "input",
        "system",
        "output_config",
        "format",
        "response_format",
        "stop",
        "n",
    ),
    *(
        "thinking",
        "budget_tokens",
        "reasoning_effort",
        "image_url",
        "url",
        "file",
        "file_data",
        "temperature",
    ),
    *("json_schema", "metadata", "tool_use_id", "id", "effort", "thinking_blocks", "refusal", "user"),
)
KINDS = (
    *(
        "user",
        "assistant",
        "tool",
        "system",
        "text",
        "image",
        "image_url",
        "tool_use",
        "tool_result",
        "base64",
    ),
    *("function", "json_schema", "enabled", "document", "file", "auto", "required", "high", "thinking"),
)

texts = st.text(min_size=1, max_size=20)
names = st.from_regex(r"[a-z_]{1,10}", fullmatch=True)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
objects = st.dictionaries(texts, values, max_size=3)


def text_part(text: str) -> JSON:
    """Return a part of content."""
    return {"type": "text", "text": text}


def image_part(url: str) -> JSON:
    """Return a part of content."""
    return {"type": "image_url", "image_url": {"url": url}}


urls = st.sampled_from(["https://example.org/a.png", "data:image/png;base64,iVBORw0KGgo="])
several_parts = st.tuples(
    texts.map(text_part), st.lists(urls.map(image_part) | texts.map(text_part), min_size=1)
)
user_content = texts | several_parts.map(lambda found: [found[0], *found[1]])


@st.composite
def turns(draw: st.DrawFn) -> list[JSON]:
    """A question, an answer with or without calls of tools, and their results."""
    messages: list[JSON] = [{"role": "user", "content": draw(user_content)}]
    calls = [
        {
            "id": f"toolu_{number}",
            "type": "function",
            "function": {"name": draw(names), "arguments": msgspec.json.encode(draw(objects)).decode()},
        }
        for number in range(draw(st.integers(0, 3)))
    ]
    answer: JSON = {"role": "assistant"}
    if not calls or draw(st.booleans()):
        answer["content"] = draw(texts)
    if calls:
        answer["tool_calls"] = calls
    messages.append(answer)
    messages += [{"role": "tool", "tool_call_id": call["id"], "content": draw(texts)} for call in calls]
    return messages


@st.composite
def chats(draw: st.DrawFn) -> JSON:
    """A chat request of what both dialects can say."""
    messages: list[JSON] = [{"role": "system", "content": draw(texts)}] if draw(st.booleans()) else []
    for turn in draw(st.lists(turns(), max_size=3)):
        messages += turn
    messages.append({"role": "user", "content": draw(user_content)})
    chat: JSON = {"model": "m", "max_tokens": 40_000, "messages": messages}
    for name, strategy in {
        "temperature": st.floats(0, 1),
        "top_p": st.floats(0, 1),
        "stream": st.booleans(),
        "stop": st.lists(texts, min_size=1, max_size=4),
        "user": texts,
    }.items():
        if draw(st.booleans()):
            chat[name] = draw(strategy)
    if draw(st.booleans()):
        chat["reasoning_effort"] = draw(st.sampled_from(["low", "medium", "high"]))
        chat.pop("temperature", None)
    if draw(st.booleans()):
        schema = {"name": "answer", "schema": draw(objects), "strict": True}
        chat["response_format"] = {"type": "json_schema", "json_schema": schema}
    tools = [
        {
            "type": "function",
            "function": {"name": name, "description": draw(texts), "parameters": {"type": "object"}},
        }
        for name in draw(st.lists(names, max_size=3, unique=True))
    ]
    if tools:
        chat["tools"] = tools
        forced: list[Any] = ["required", {"type": "function", "function": {"name": "f"}}]
        free: list[Any] = ["auto", "none"]
        chat["tool_choice"] = draw(st.sampled_from(free if "reasoning_effort" in chat else free + forced))
        if chat["tool_choice"] != "none" and draw(st.booleans()):
            chat["parallel_tool_calls"] = False
    return chat


@given(chats())
def test_what_both_dialects_can_say_survives_the_way_there_and_back(chat: JSON) -> None:
    there = messages_request(chat, model=chat["model"], max_tokens=chat["max_tokens"])
    assert all(message["role"] in {"user", "assistant"} for message in there["messages"])
    assert chat_request(there) == chat


@given(chats())
def test_results_of_parallel_calls_are_one_message(chat: JSON) -> None:
    there = messages_request(chat, model="m", max_tokens=100)
    for message, following in zip(there["messages"], there["messages"][1:], strict=False):
        calls = (
            [b["id"] for b in message["content"] if b["type"] == "tool_use"]
            if isinstance(message["content"], list)
            else []
        )
        if calls:
            assert [block["tool_use_id"] for block in following["content"]] == calls


def test_thinking_leaves_room_and_is_left_out_where_the_api_would_refuse_it() -> None:
    asked: JSON = {
        "messages": [{"role": "user", "content": "q"}],
        "reasoning_effort": "high",
        "temperature": 0.3,
    }
    made = messages_request(asked, model="m", max_tokens=4000)
    assert made["thinking"] == {"type": "enabled", "budget_tokens": 2000}
    assert "temperature" not in made
    assert "thinking" not in messages_request(asked, model="m", max_tokens=1024)
    tools = [{"type": "function", "function": {"name": "f"}}]
    forced = {**asked, "tools": tools, "tool_choice": "required"}
    assert "thinking" not in messages_request(forced, model="m", max_tokens=4000)


def test_signed_thinking_that_is_handed_back_comes_first_and_unsigned_is_left_out() -> None:
    signed = {"type": "thinking", "thinking": "hm", "signature": "s"}
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    said: JSON = {"role": "assistant", "content": None, "tool_calls": [call], "reasoning_content": "hm"}
    result = {"role": "tool", "tool_call_id": "a", "content": "1"}
    asked = {"reasoning_effort": "low", "messages": [{"role": "user", "content": "q"}, said, result]}
    made = messages_request(asked, model="m", max_tokens=4000)
    assert [block["type"] for block in made["messages"][1]["content"]] == ["tool_use"]
    assert "thinking" not in made  # the API wants a turn under way to have begun with it
    said["thinking_blocks"] = [signed]
    made = messages_request(asked, model="m", max_tokens=4000)
    assert made["messages"][1]["content"][0] == signed
    assert made["thinking"]["budget_tokens"] == 1024


@pytest.mark.parametrize(
    "wrong",
    [
        {"n": 2},
        {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]},
        {"messages": [{"role": "user", "content": 5}]},
        {"messages": [{"role": "function", "content": "x"}]},
        {"messages": [{"role": "user", "content": [image_part("data:text/plain,x")]}]},
        {"tools": [{"type": "custom", "custom": {}}]},
    ],
)
def test_what_cannot_be_said_is_refused(wrong: JSON) -> None:
    with pytest.raises(Untranslatable):
        messages_request({"messages": [], **wrong}, model="m", max_tokens=9)


@pytest.mark.parametrize(
    "wrong",
    [
        {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
        {"messages": [{"role": "user", "content": [{"type": "document", "source": {"type": "url"}}]}]},
        {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "file"}}]}]},
        {"messages": [{"role": "critic", "content": "x"}]},
        {"system": 5},
    ],
)
def test_what_the_inner_language_cannot_say_is_refused(wrong: JSON) -> None:
    with pytest.raises(Untranslatable):
        chat_request({"messages": [], **wrong})


def test_json_mode_becomes_an_instruction() -> None:
    asked = {"messages": [], "response_format": {"type": "json_object"}}
    assert "JSON object" in messages_request(asked, model="m", max_tokens=9)["system"]


wild = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(FIELDS) | texts, inner | st.sampled_from(KINDS), max_size=5)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(FIELDS), wild, max_size=6))
def test_whatever_a_client_sends_is_translated_or_refused(fields: JSON) -> None:
    with suppress(Untranslatable):
        chat_request(fields)
    with suppress(Untranslatable):
        messages_request(fields, model="m", max_tokens=5000)


@given(st.text())
def test_an_id_is_made_fit_and_arguments_are_always_an_object(text: str) -> None:
    assert tool_id(text).replace("_", "").replace("-", "").isalnum() or not tool_id(text).strip("_-")
    assert tool_id(tool_id(text)) == tool_id(text)
    assert isinstance(arguments_of(text), dict)


def test_an_images_data_and_address_are_told_apart() -> None:
    assert source_of("data:image/png;base64,AA==") == {
        "type": "base64",
        "media_type": "image/png",
        "data": "AA==",
    }
    assert source_of("https://example.org/x") == {"type": "url", "url": "https://example.org/x"}
