"""`client.responses` of the official `openai` SDK, unchanged, on channels of both dialects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import openai
import pydantic
import pytest
from openai.types.responses import Response, ResponseStreamEvent

from deepspace.testing.fake_anthropic import FakeAnthropic
from tests.support.live import Live

BOTH = pytest.mark.parametrize("model", ["fake-echo", "claude-echo"])
WEATHER: Any = {
    "type": "function",
    "name": "weather",
    "description": "The weather of a city",
    "strict": False,
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
EVENTS: Any = pydantic.TypeAdapter(ResponseStreamEvent)


@pytest.fixture
def sdk(live: Live, claude: FakeAnthropic) -> Iterator[openai.OpenAI]:
    """The client as OpenAI ships it, with another base URL."""
    with openai.OpenAI(base_url=f"{live.url}/v1", api_key=live.api_key, max_retries=0) as client:
        yield client


@BOTH
def test_a_response_is_of_the_sdks_type_and_its_usage_has_the_cost(
    live: Live, sdk: openai.OpenAI, model: str
) -> None:
    before = live.balance()
    raw = sdk.responses.with_raw_response.create(
        model=model, input="four words of text", metadata={"run": "7"}, store=True
    )
    made: Any = raw.parse()
    Response.model_validate(json.loads(raw.text))  # strictly: the SDK itself takes anything
    assert (made.output_text, made.status) == ("four words of text", "completed")
    assert made.completed_at is not None
    assert (made.metadata, made.store, made.instructions) == ({"run": "7"}, False, None)
    assert (made.usage.input_tokens, made.usage.output_tokens, made.usage.total_tokens) == (4, 4, 8)
    assert Decimal(made.usage.cost) == before - live.balance() == Decimal("0.00001")
    assert raw.headers["x-cost"] == made.usage.cost
    assert made.id == f"resp_{raw.headers['x-trace-id']}"
    assert live.trace(raw.headers["x-trace-id"])["state"] == "captured"


@BOTH
def test_a_stream_has_every_event_in_order_and_ends_with_its_cost(
    live: Live, sdk: openai.OpenAI, model: str
) -> None:
    before = live.balance()
    events: list[Any] = list(sdk.responses.create(model=model, input="alpha beta gamma", stream=True))
    for event in events:
        EVENTS.validate_python(event.model_dump())
    assert [event.sequence_number for event in events] == list(range(len(events)))
    kinds = [event.type for event in events if not event.type.endswith("output_text.delta")]
    assert kinds == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    told = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert told.strip() == "alpha beta gamma"
    last = events[-1].response
    assert last.output_text == told
    assert last.output[0] == events[-2].item
    assert last.usage.output_tokens == 3
    assert before - live.balance() == Decimal(last.usage.cost) == Decimal("0.0000075")


@BOTH
async def test_the_async_client_answers_whole_and_streams(
    live: Live, claude: FakeAnthropic, model: str
) -> None:
    async with openai.AsyncOpenAI(base_url=f"{live.url}/v1", api_key=live.api_key, max_retries=0) as client:
        whole = await client.responses.create(model=model, input="hello")
        assert whole.output_text == "hello"
        async with client.responses.stream(model=model, input="one two") as stream:
            said = [event.delta async for event in stream if event.type == "response.output_text.delta"]
            final = await stream.get_final_response()
    assert "".join(said) == final.output_text
    assert final.output_text.strip() == "one two"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["fake-tools", "claude-tools"])
def test_parallel_tools_are_called_and_their_results_taken(
    live: Live, sdk: openai.OpenAI, model: str, stream: bool
) -> None:
    asked: Any = {"model": model, "tools": [WEATHER], "instructions": "Be brief."}
    question: Any = [{"role": "user", "content": "Which is warmer?"}]
    if stream:
        with sdk.responses.stream(**asked, input=question) as heard:
            events: list[Any] = list(heard)
            made: Any = heard.get_final_response()
        done = [event for event in events if event.type == "response.function_call_arguments.done"]
        assert [json.loads(event.arguments) for event in done] == [{"city": "Zürich"}, {"city": "上海"}]
    else:
        made = sdk.responses.create(**asked, input=question)
    calls = [item for item in made.output if item.type == "function_call"]
    assert [(call.name, json.loads(call.arguments)) for call in calls] == [
        ("weather", {"city": "Zürich"}),
        ("weather", {"city": "上海"}),
    ]
    first = {"fake-tools": "reasoning", "claude-tools": "message"}[model]
    assert made.output[0].type == first
    results = [
        {"type": "function_call_output", "call_id": call.call_id, "output": f"{degrees} degrees"}
        for call, degrees in zip(calls, (18, 31), strict=True)
    ]
    told = [item.model_dump(exclude_none=True) for item in made.output]
    answer = sdk.responses.create(**asked, input=[*question, *told, *results])
    assert answer.output_text == "31 degrees"


def test_what_an_openai_channel_gets_is_what_was_asked(live: Live, sdk: openai.OpenAI) -> None:
    sdk.responses.create(
        model="fake-echo",
        instructions="Be brief.",
        input=[
            {"role": "developer", "content": "Be kind."},
            {"role": "user", "content": "first"},
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}]},
            {"role": "assistant", "content": "Let me look."},
            {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": "{}"},
            {"type": "function_call", "call_id": "c2", "name": "weather", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "18"},
            {
                "type": "function_call_output",
                "call_id": "c2",
                "output": [
                    {"type": "input_text", "text": "31"},
                    {"type": "input_image", "image_url": "https://example.org/c2.png", "detail": "low"},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}", "detail": "auto"},
                    {"type": "input_text", "text": "what the openai channel of responses gets"},
                ],
            },
        ],
        tools=[WEATHER],
        tool_choice={"type": "function", "name": "weather"},
        parallel_tool_calls=False,
        max_output_tokens=50,
        temperature=0.5,
        top_p=0.9,
        reasoning={"effort": "low"},
        text={"format": {"type": "json_schema", "name": "a", "schema": {"type": "object"}, "strict": True}},
        metadata={"run": "8"},
    )
    (got,) = live.upstream.of_prompt("what the openai channel of responses gets")
    called = {"type": "function", "function": {"name": "weather", "arguments": "{}"}}
    assert got.body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "first"},
        {
            "role": "assistant",
            "reasoning_content": "Hm.",
            "content": "Let me look.",
            "tool_calls": [{"id": "c1", **called}, {"id": "c2", **called}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "18"},
        {"role": "tool", "tool_call_id": "c2", "content": "31"},
        {
            "role": "user",
            "content": [
                {"type": "image_url", "image_url": {"url": "https://example.org/c2.png", "detail": "low"}}
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "image_url",
                    "image_url": {"url": f"data:image/png;base64,{PIXEL}", "detail": "auto"},
                },
                {"type": "text", "text": "what the openai channel of responses gets"},
            ],
        },
    ]
    expected = {
        "model": "fake-echo",
        "tools": [{"type": "function", "function": {k: v for k, v in WEATHER.items() if k != "type"}}],
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
        "parallel_tool_calls": False,
        "max_tokens": 50,
        "temperature": 0.5,
        "top_p": 0.9,
        "reasoning_effort": "low",
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "a", "schema": {"type": "object"}, "strict": True},
        },
    }
    assert {name: value for name, value in got.body.items() if name != "messages"} == expected


class Person(pydantic.BaseModel):
    """What is asked for."""

    age: int


@pytest.mark.parametrize(("model", "question"), [("fake-echo", '{"age":7}'), ("claude-schema", "how old")])
def test_structured_output_is_parsed_by_the_sdk(sdk: openai.OpenAI, model: str, question: str) -> None:
    assert sdk.responses.parse(model=model, input=question, text_format=Person).output_parsed == Person(age=7)
    with sdk.responses.stream(model=model, input=question, text_format=Person) as stream:
        assert stream.get_final_response().output_parsed == Person(age=7)


def test_an_image_reaches_an_anthropic_channel(claude: FakeAnthropic, sdk: openai.OpenAI) -> None:
    picture: Any = {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}", "detail": "auto"}
    text: Any = {"type": "input_text", "text": "what is this"}
    made = sdk.responses.create(model="claude-echo", input=[{"role": "user", "content": [picture, text]}])
    assert made.output_text == "what is this"
    source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
    assert claude.received[-1].body["messages"][0]["content"][0] == {"type": "image", "source": source}


@pytest.mark.parametrize("stream", [False, True])
def test_reasoning_is_a_summary_and_signed_thinking_can_be_handed_back(
    claude: FakeAnthropic, sdk: openai.OpenAI, stream: bool
) -> None:
    asked: Any = {"model": "claude-thinking", "include": ["reasoning.encrypted_content"], "store": False}
    if stream:
        with sdk.responses.stream(**asked, input="one two") as heard:
            events: list[Any] = list(heard)
            made: Any = heard.get_final_response()
        told = [event.delta for event in events if event.type == "response.reasoning_summary_text.delta"]
        assert "".join(told) == "Hm, let me see."
    else:
        made = sdk.responses.create(**asked, input="one two")
    thought = made.output[0]
    assert (thought.type, thought.summary[0].text) == ("reasoning", "Hm, let me see.")
    assert (made.output_text, made.usage.output_tokens_details.reasoning_tokens) == ("one two", 5)
    items = [item.model_dump(exclude_none=True) for item in made.output]
    sdk.responses.create(
        **asked, input=[{"role": "user", "content": "one two"}, *items, {"role": "user", "content": "go on"}]
    )
    assert claude.received[-1].body["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "Hm, let me see.", "signature": "c2lnbmVk"},
        {"type": "text", "text": "one two"},
    ]


@pytest.mark.parametrize("stream", [False, True])
@BOTH
def test_an_answer_cut_short_is_incomplete(sdk: openai.OpenAI, model: str, stream: bool) -> None:
    asked: Any = {"model": "our-claude" if model == "claude-echo" else "claude-refusal"}
    made: Any = sdk.responses.create(**asked, input="a b c d e f g h", stream=stream)
    if stream:
        events: list[Any] = list(made)
        assert events[-1].type == "response.incomplete"
        made = events[-1].response
    reason = "max_output_tokens" if model == "claude-echo" else "content_filter"
    assert (made.status, made.incomplete_details.reason) == ("incomplete", reason)
    assert made.completed_at is None


def test_cached_tokens_are_told_and_charged_as_such(live: Live, sdk: openai.OpenAI) -> None:
    before = live.balance()
    made: Any = sdk.responses.create(model="claude-cached", input="one two")
    assert made.usage.input_tokens == 152
    assert made.usage.input_tokens_details.cached_tokens == 100
    assert made.usage.input_tokens_details.cache_write_tokens == 50
    assert before - live.balance() == Decimal(made.usage.cost) == Decimal("0.000035")


@pytest.mark.parametrize(
    ("model", "error", "status", "code"),
    [
        ("no-such-model", openai.NotFoundError, 404, "model_not_found"),
        ("fake-unpriced", openai.ConflictError, 409, "price_missing"),
        ("fake-400", openai.BadRequestError, 400, "upstream_rejected"),
        ("claude-400", openai.BadRequestError, 400, "upstream_rejected"),
        ("fake-500", openai.InternalServerError, 503, "upstream_unavailable"),
        ("claude-529", openai.InternalServerError, 503, "upstream_unavailable"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal_is_the_sdk_class_of_its_status(
    sdk: openai.OpenAI, model: str, error: Any, status: int, code: str, stream: bool
) -> None:
    with pytest.raises(error) as caught:
        sdk.responses.create(model=model, input="hi", stream=stream)
    assert (caught.value.status_code, caught.value.code) == (status, code)
    assert caught.value.body["trace_id"] == caught.value.response.headers["x-trace-id"]


@pytest.mark.parametrize(
    "model", ["claude-error-event", "claude-die-mid", "fake-no-done", "fake-error-event", "fake-hang-mid"]
)
def test_a_stream_that_breaks_off_fails_and_the_sdk_raises(
    live: Live, sdk: openai.OpenAI, model: str
) -> None:
    before = live.balance()
    heard: list[Any] = []
    with pytest.raises(openai.APIError) as caught:
        heard.extend(sdk.responses.create(model=model, input="one two three four five", stream=True))
    for event in heard:
        EVENTS.validate_python(event.model_dump())
    assert caught.value.code in {"upstream_error", "upstream_unavailable", "upstream_timeout"}
    last = heard[-1]
    assert (last.type, last.response.status, last.response.error.code) == (
        "response.failed",
        "failed",
        "server_error",
    )
    assert last.response.output_text.startswith("one")
    assert before > live.balance()  # what was delivered is charged


def test_a_timeout_is_the_sdks_own(sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.APITimeoutError):
        sdk.responses.create(model="fake-slow", input="one two three four five six seven", timeout=0.1)


def test_a_retry_by_the_sdk_is_a_call_of_its_own(live: Live) -> None:
    with (
        openai.OpenAI(base_url=f"{live.url}/v1", api_key=live.api_key, max_retries=1) as client,
        pytest.raises(openai.APITimeoutError),
    ):
        client.responses.create(model="fake-slow", input="retry this response " * 5, timeout=0.1)
    assert len(live.upstream.of_prompt("retry this response")) == 2
