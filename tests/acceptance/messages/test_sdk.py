"""The official `anthropic` SDK, unchanged, against the gateway: with an Anthropic channel behind it, where
bytes pass through, and with an OpenAI channel, where they are translated."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import anthropic
import pytest

from deepspace.testing.fake_anthropic import FakeAnthropic
from tests.support.live import Live

BOTH = pytest.mark.parametrize("model", ["claude-echo", "fake-echo"])
WEATHER: Any = {
    "name": "weather",
    "description": "The weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def ask(text: str) -> Any:
    """Return the messages of a question."""
    return [{"role": "user", "content": text}]


@BOTH
def test_a_call_answers_and_its_usage_has_the_cost(live: Live, sdk: anthropic.Anthropic, model: str) -> None:
    before = live.balance()
    raw = sdk.messages.with_raw_response.create(
        model=model, max_tokens=50, messages=ask("four words of text")
    )
    answer: Any = raw.parse()
    assert answer.content[0].text == "four words of text"
    assert (answer.stop_reason, answer.usage.input_tokens, answer.usage.output_tokens) == ("end_turn", 4, 4)
    assert Decimal(answer.usage.cost) == before - live.balance() == Decimal("0.00001")
    assert raw.headers["x-cost"] == answer.usage.cost
    trace = live.trace(raw.headers["x-trace-id"])
    assert trace["billing_ref_id"] == raw.headers["x-billing-ref-id"]
    assert trace["state"] == "captured"


@BOTH
def test_a_stream_ends_with_its_cost(live: Live, sdk: anthropic.Anthropic, model: str) -> None:
    before = live.balance()
    with sdk.messages.stream(model=model, max_tokens=50, messages=ask("alpha beta gamma")) as stream:
        events: list[Any] = list(stream)
        message = stream.get_final_message()
    assert message.content[0].type == "text"
    assert message.content[0].text.strip() == "alpha beta gamma"
    assert (message.stop_reason, message.usage.output_tokens) == ("end_turn", 3)
    ends = [event for event in events if event.type == "message_delta"]
    assert [Decimal(end.usage.cost) for end in ends] == [before - live.balance()] == [Decimal("0.0000075")]
    assert events[0].type == "message_start"
    assert events[-1].type == "message_stop"


@BOTH
async def test_the_async_client_answers_whole_and_streams(
    live: Live, claude: FakeAnthropic, model: str
) -> None:
    async with anthropic.AsyncAnthropic(base_url=live.url, api_key=live.api_key, max_retries=0) as client:
        whole = await client.messages.create(model=model, max_tokens=50, messages=ask("hello"))
        assert whole.content[0].type == "text"
        assert whole.content[0].text == "hello"
        async with client.messages.stream(model=model, max_tokens=50, messages=ask("one two")) as stream:
            said = "".join([text async for text in stream.text_stream])
    assert said.strip() == "one two"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["claude-tools", "fake-tools"])
def test_parallel_tools_are_called_and_their_results_taken(
    live: Live, sdk: anthropic.Anthropic, model: str, stream: bool
) -> None:
    before = live.balance()
    asked: Any = {"model": model, "max_tokens": 100, "tools": [WEATHER], "messages": ask("Which is warmer?")}
    if stream:
        with sdk.messages.stream(**asked) as heard:
            message: Any = heard.get_final_message()
    else:
        message = sdk.messages.create(**asked)
    calls = [block for block in message.content if block.type == "tool_use"]
    assert [(call.name, call.input) for call in calls] == [
        ("weather", {"city": "Zürich"}),
        ("weather", {"city": "上海"}),
    ]
    assert message.stop_reason == "tool_use"
    results = [
        {"type": "tool_result", "tool_use_id": call.id, "content": f"{degrees} degrees"}
        for call, degrees in zip(calls, (18, 31), strict=True)
    ]
    said = {
        "role": "assistant",
        "content": [block.model_dump(exclude_none=True) for block in message.content],
    }
    asked["messages"] = [*asked["messages"], said, {"role": "user", "content": results}]
    answer: Any = sdk.messages.create(**asked)
    assert answer.content[0].text == "31 degrees"
    assert before - live.balance() > Decimal(answer.usage.cost)


def test_what_an_openai_channel_gets_is_what_was_asked(live: Live, sdk: anthropic.Anthropic) -> None:
    sdk.messages.create(
        model="fake-echo",
        max_tokens=50,
        system="Be brief.",
        stop_sequences=["END"],
        tools=[WEATHER],
        tool_choice={"type": "any", "disable_parallel_tool_use": True},
        thinking={"type": "enabled", "budget_tokens": 4096},
        output_config={"format": {"type": "json_schema", "schema": {"type": "object"}}},
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
                    {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
                    {"type": "text", "text": "what an openai channel gets"},
                ],
            }
        ],
    )
    (got,) = live.upstream.of_prompt("what an openai channel gets")
    assert got.body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
                {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
                {"type": "text", "text": "what an openai channel gets"},
            ],
        },
    ]
    assert (got.body["stop"], got.body["reasoning_effort"]) == (["END"], "medium")
    assert (got.body["tool_choice"], got.body["parallel_tool_calls"]) == ("required", False)
    assert got.body["tools"][0]["function"]["parameters"] == WEATHER["input_schema"]
    assert got.body["response_format"]["json_schema"]["schema"] == {"type": "object"}


def test_an_anthropic_channel_gets_the_fields_as_they_came(
    live: Live, claude: FakeAnthropic, sdk: anthropic.Anthropic
) -> None:
    unknown = {"invented_field": {"b": 1, "a": [1.5, 2]}}
    answer: Any = sdk.messages.create(
        model="our-claude",
        max_tokens=100,
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "a b c d e f g", "cache_control": {"type": "ephemeral"}}
                ],
            }
        ],
        extra_body=unknown,
        extra_headers={"anthropic-beta": "some-beta-2026"},
    )
    got = claude.received[-1]
    assert got.body["invented_field"] == unknown["invented_field"]
    assert got.body["messages"][0]["content"][0]["cache_control"] == {"type": "ephemeral"}
    assert (got.body["model"], got.body["max_tokens"]) == ("claude-echo", 5)  # alias, and the model's limit
    assert got.headers["anthropic-beta"] == "some-beta-2026"
    assert got.headers["x-api-key"] == claude.api_key
    assert (answer.stop_reason, answer.content[0].text) == ("max_tokens", "a b c d e")


@pytest.mark.parametrize("stream", [False, True])
def test_cache_reads_and_writes_are_charged_as_such(
    live: Live, sdk: anthropic.Anthropic, stream: bool
) -> None:
    before = live.balance()
    asked: Any = {"model": "claude-cached", "max_tokens": 50, "messages": ask("one two")}
    if stream:
        with sdk.messages.stream(**asked) as heard:
            usage = heard.get_final_message().usage
    else:
        usage = sdk.messages.create(**asked).usage
    assert (usage.input_tokens, usage.output_tokens) == (2, 2)
    assert (usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (100, 50)
    # 52 at 0.5 (writes have no price of their own here), 100 at 0.05, 2 at 2, per million
    assert before - live.balance() == Decimal("0.000035")


@pytest.mark.parametrize("stream", [False, True])
def test_thinking_keeps_its_signature_and_is_counted(
    live: Live, sdk: anthropic.Anthropic, stream: bool
) -> None:
    asked: Any = {"model": "claude-thinking", "max_tokens": 50, "messages": ask("one two")}
    if stream:
        with sdk.messages.stream(**asked) as heard:
            message: Any = heard.get_final_message()
    else:
        message = sdk.messages.create(**asked)
    first = message.content[0]
    assert (first.type, first.thinking, first.signature) == ("thinking", "Hm, let me see.", "c2lnbmVk")
    assert message.usage.output_tokens == 7


def test_structured_output_comes_through_both_kinds_of_channel(sdk: anthropic.Anthropic) -> None:
    wanted: Any = {"type": "object", "properties": {"age": {"type": "integer"}}}
    answer: Any = sdk.messages.create(
        model="claude-schema",
        max_tokens=50,
        messages=ask("how old"),
        output_config={"format": {"type": "json_schema", "schema": wanted}},
    )
    assert json.loads(answer.content[0].text) == {"age": 7}


@pytest.mark.parametrize(
    ("model", "error", "status", "kind", "code"),
    [
        ("no-such-model", anthropic.NotFoundError, 404, "not_found_error", "model_not_found"),
        ("fake-unpriced", anthropic.ConflictError, 409, "invalid_request_error", "price_missing"),
        ("claude-400", anthropic.BadRequestError, 400, "invalid_request_error", "upstream_rejected"),
        ("fake-400", anthropic.BadRequestError, 400, "invalid_request_error", "upstream_rejected"),
        ("claude-529", anthropic.InternalServerError, 503, "overloaded_error", "upstream_unavailable"),
        ("fake-500", anthropic.InternalServerError, 503, "overloaded_error", "upstream_unavailable"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal_is_the_sdk_class_of_its_status(
    sdk: anthropic.Anthropic, model: str, error: Any, status: int, kind: str, code: str, stream: bool
) -> None:
    with pytest.raises(error) as caught:
        sdk.messages.create(model=model, max_tokens=9, messages=ask("hi"), stream=stream)
    body: Any = caught.value.body
    assert caught.value.status_code == status
    assert (body["type"], body["error"]["type"], body["error"]["code"]) == ("error", kind, code)
    assert body["request_id"] == caught.value.response.headers["x-trace-id"]


@pytest.mark.parametrize(
    "model", ["claude-error-event", "claude-die-mid", "fake-no-done", "fake-error-event"]
)
def test_an_error_in_the_middle_of_a_stream_is_raised_by_the_sdk(
    live: Live, sdk: anthropic.Anthropic, model: str
) -> None:
    before = live.balance()
    heard: list[Any] = []
    with (
        pytest.raises(anthropic.APIStatusError),
        sdk.messages.stream(model=model, max_tokens=50, messages=ask("one two three four five")) as stream,
    ):
        heard.extend(stream)
    assert any(event.type == "content_block_delta" for event in heard)
    assert not any(event.type == "message_stop" for event in heard)
    assert before > live.balance()  # what was delivered is charged


def test_a_document_by_address_has_no_counterpart_and_is_refused(sdk: anthropic.Anthropic) -> None:
    document: Any = {"type": "document", "source": {"type": "url", "url": "https://example.org/a.pdf"}}
    with pytest.raises(anthropic.BadRequestError, match="document"):
        sdk.messages.create(
            model="fake-echo", max_tokens=9, messages=[{"role": "user", "content": [document]}]
        )


@pytest.mark.parametrize(("model", "exact"), [("claude-echo", True), ("fake-echo", False)])
def test_tokens_are_counted_and_cost_nothing(
    live: Live, sdk: anthropic.Anthropic, model: str, exact: bool
) -> None:
    before = live.balance()
    count: Any = sdk.messages.count_tokens(model=model, messages=ask("one two three"))
    assert (count.input_tokens == 3) is exact
    assert count.input_tokens > 0
    assert getattr(count, "estimated", False) is not exact
    assert live.balance() == before
