"""What the official SDKs do beyond a plain call, on a channel in the OpenAI dialect: tools, objects, images,
time-outs and retries."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import openai
import pydantic
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
PIXEL = "data:image/png;base64,iVBORw0KGgo="


class Person(pydantic.BaseModel):
    """What is asked for."""

    age: int


@pytest.fixture
def sdk(live: Live) -> Iterator[openai.OpenAI]:
    """The client as OpenAI ships it, with another base URL."""
    with openai.OpenAI(base_url=f"{live.url}/v1", api_key=live.api_key, max_retries=0) as client:
        yield client


def ask(content: Any) -> Any:
    """Return the messages of a question."""
    return [{"role": "user", "content": content}]


@pytest.mark.parametrize("stream", [False, True])
def test_parallel_tools_are_called_and_their_results_taken(sdk: openai.OpenAI, stream: bool) -> None:
    asked: Any = {"model": "fake-tools", "tools": [TOOL], "messages": ask("Which is warmer?")}
    if stream:
        with sdk.chat.completions.stream(**asked) as heard:
            for _ in heard:
                pass
            completion: Any = heard.get_final_completion()
    else:
        completion = sdk.chat.completions.create(**asked)
    calls = completion.choices[0].message.tool_calls
    assert [json.loads(call.function.arguments)["city"] for call in calls] == ["Zürich", "上海"]
    said = completion.choices[0].message.model_dump(exclude_none=True)
    results = [{"role": "tool", "tool_call_id": call.id, "content": "31"} for call in calls]
    answer = sdk.chat.completions.create(
        model="fake-tools", tools=[TOOL], messages=[*asked["messages"], said, *results]
    )
    assert answer.choices[0].message.content == "31"


def test_structured_output_is_parsed_by_the_sdk(live: Live, sdk: openai.OpenAI) -> None:
    parsed = sdk.chat.completions.parse(model="fake-echo", messages=ask('{"age":7}'), response_format=Person)
    assert parsed.choices[0].message.parsed == Person(age=7)
    got = live.upstream.of_prompt('{"age":7}')[-1]
    assert got.body["response_format"]["json_schema"]["name"] == "Person"


def test_an_image_reaches_the_channel_as_it_came(live: Live, sdk: openai.OpenAI) -> None:
    mark = uuid.uuid4().hex
    content = [
        {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}},
        {"type": "text", "text": mark},
    ]
    sdk.chat.completions.create(model="fake-echo", messages=ask(content))
    (got,) = live.upstream.of_prompt(mark)
    assert got.body["messages"][0]["content"] == content


def openai_chat(live: Live, text: str, **settings: Any) -> Any:
    """Ask by the SDK of OpenAI."""
    with openai.OpenAI(base_url=f"{live.url}/v1", api_key=live.api_key, **settings) as client:
        return client.chat.completions.create(model="fake-slow", messages=ask(text))


def anthropic_message(live: Live, text: str, **settings: Any) -> Any:
    """Ask by the SDK of Anthropic."""
    with anthropic.Anthropic(base_url=live.url, api_key=live.api_key, **settings) as client:
        return client.messages.create(model="fake-slow", max_tokens=50, messages=ask(text))


@pytest.mark.parametrize(
    ("act", "error"),
    [(openai_chat, openai.APITimeoutError), (anthropic_message, anthropic.APITimeoutError)],
)
def test_a_time_out_is_the_sdks_own_and_every_retry_is_a_call(
    live: Live, claude: FakeAnthropic, act: Callable[..., Any], error: type[Exception]
) -> None:
    mark = uuid.uuid4().hex
    with pytest.raises(error):
        act(live, f"{mark} two three four five six", timeout=0.1, max_retries=1)
    assert len(live.upstream.of_prompt(mark)) == 2
    live.balance()
