"""The official `openai` SDK with an Anthropic channel behind the gateway."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import openai
import pytest

from deepspace.testing.fake_anthropic import FakeAnthropic
from tests.support.live import Live

TOOL: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


@pytest.fixture
def client(live: Live, claude: FakeAnthropic) -> Iterator[openai.OpenAI]:
    """The client as the README shows it."""
    with openai.OpenAI(base_url=f"{live.url}/v1", api_key=live.api_key, max_retries=0) as made:
        yield made


def ask(text: str) -> Any:
    """Return the messages of a question."""
    return [{"role": "user", "content": text}]


def test_a_call_answers_and_its_usage_has_the_cost(live: Live, client: openai.OpenAI) -> None:
    before = live.balance()
    answer: Any = client.chat.completions.create(model="claude-echo", messages=ask("four words of text"))
    assert answer.choices[0].message.content == "four words of text"
    assert (answer.choices[0].finish_reason, answer.usage.prompt_tokens) == ("stop", 4)
    assert Decimal(answer.usage.cost) == before - live.balance() == Decimal("0.00001")


async def test_the_async_client_streams_with_usage(live: Live, claude: FakeAnthropic) -> None:
    before = live.balance()
    async with openai.AsyncOpenAI(base_url=f"{live.url}/v1", api_key=live.api_key, max_retries=0) as made:
        stream = await made.chat.completions.create(
            model="claude-cached",
            messages=ask("alpha beta gamma"),
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks: list[Any] = [chunk async for chunk in stream]
    said = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert said == "alpha beta gamma"
    assert chunks[-1].usage.prompt_tokens == 153
    assert chunks[-1].usage.prompt_tokens_details.cached_tokens == 100
    assert Decimal(chunks[-1].usage.cost) == before - live.balance()


@pytest.mark.parametrize("stream", [False, True])
def test_parallel_tools_are_called_and_their_results_taken(
    live: Live, client: openai.OpenAI, stream: bool
) -> None:
    asked: Any = {"model": "claude-tools", "tools": [TOOL], "messages": ask("Which is warmer?")}
    if stream:
        with client.chat.completions.stream(**asked) as heard:
            for _ in heard:
                pass
            completion: Any = heard.get_final_completion()
    else:
        completion = client.chat.completions.create(**asked)
    message = completion.choices[0].message
    assert completion.choices[0].finish_reason == "tool_calls"
    assert message.content == "Let me look."
    assert [json.loads(call.function.arguments) for call in message.tool_calls] == [
        {"city": "Zürich"},
        {"city": "上海"},
    ]
    said = {
        "role": "assistant",
        "content": message.content,
        "tool_calls": [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.function.name, "arguments": call.function.arguments},
            }
            for call in message.tool_calls
        ],
    }
    results = [{"role": "tool", "tool_call_id": call.id, "content": "31"} for call in message.tool_calls]
    asked["messages"] = [*asked["messages"], said, *results]
    answer: Any = client.chat.completions.create(**asked)
    assert answer.choices[0].message.content == "31"


def test_what_an_anthropic_channel_gets_is_what_was_asked(
    live: Live, claude: FakeAnthropic, client: openai.OpenAI
) -> None:
    asked: Any = [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
                {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
                {"type": "text", "text": "look"},
            ],
        },
    ]
    client.chat.completions.create(
        model="claude-echo",
        messages=asked,
        max_tokens=150,
        stop=["END"],
        temperature=1.5,
        tools=[TOOL],
        tool_choice="required",
        parallel_tool_calls=False,
    )
    got = claude.received[-1].body
    assert got == {
        "model": "claude-echo",
        "max_tokens": 150,
        "system": "Be brief.",
        "messages": [
            {
                "role": "user",
                "content": [
                    {
                        "type": "image",
                        "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="},
                    },
                    {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
                    {"type": "text", "text": "look"},
                ],
            }
        ],
        "temperature": 1,
        "stop_sequences": ["END"],
        "tools": [{"name": "weather", "input_schema": TOOL["function"]["parameters"]}],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
    }


def test_structured_output_and_reasoning_come_through(client: openai.OpenAI) -> None:
    schema: Any = {"name": "person", "schema": {"type": "object", "properties": {"age": {"type": "integer"}}}}
    answer: Any = client.chat.completions.create(
        model="claude-schema",
        messages=ask("how old"),
        response_format={"type": "json_schema", "json_schema": schema},
    )
    assert json.loads(answer.choices[0].message.content) == {"age": 7}
    answer = client.chat.completions.create(model="claude-thinking", messages=ask("one two"))
    message = answer.choices[0].message
    assert (message.reasoning_content, message.content) == ("Hm, let me see.", "one two")
    assert message.thinking_blocks[0]["signature"] == "c2lnbmVk"
    assert answer.usage.completion_tokens_details.reasoning_tokens == 5


def test_a_refusal_by_the_model_is_a_content_filter(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="claude-refusal", messages=ask("no"))
    assert answer.choices[0].finish_reason == "content_filter"


@pytest.mark.parametrize(
    ("model", "error", "code"),
    [
        ("claude-400", openai.BadRequestError, "upstream_rejected"),
        ("claude-401", openai.InternalServerError, "upstream_unavailable"),
        ("claude-529", openai.InternalServerError, "upstream_unavailable"),
    ],
)
def test_a_refusal_by_the_provider_is_the_sdk_class_of_its_status(
    client: openai.OpenAI, model: str, error: Any, code: str
) -> None:
    with pytest.raises(error) as caught:
        client.chat.completions.create(model=model, messages=ask("hi"))
    assert caught.value.code == code


@pytest.mark.parametrize("model", ["claude-error-event", "claude-die-mid"])
def test_an_error_in_the_middle_of_a_stream_is_raised_by_the_sdk(
    live: Live, client: openai.OpenAI, model: str
) -> None:
    with pytest.raises(openai.APIError):
        list(client.chat.completions.create(model=model, messages=ask("one two three four"), stream=True))
    live.balance()


def test_what_the_dialect_cannot_say_is_refused_before_anything_is_sent(
    live: Live, claude: FakeAnthropic, client: openai.OpenAI
) -> None:
    before, received = live.balance(), len(claude.received)
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="claude-echo", messages=ask("hi"), n=2)
    assert (caught.value.code, caught.value.param) == ("invalid_request", "n")
    assert (live.balance(), len(claude.received)) == (before, received)
