"""The official `openai` SDK, unchanged, against the gateway."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import openai
import pytest

from tests.support.live import Live


@pytest.fixture
def sdk(live: Live) -> Iterator[openai.OpenAI]:
    """The client as the README shows it."""
    with openai.OpenAI(base_url=f"{live.url}/v1", api_key=live.api_key, max_retries=0) as client:
        yield client


def ask(text: str) -> list[openai.types.chat.ChatCompletionUserMessageParam]:
    """Return the messages of a question."""
    return [{"role": "user", "content": text}]


def test_a_call_answers_and_its_usage_has_the_cost(live: Live, sdk: openai.OpenAI) -> None:
    before = live.balance()
    answer = sdk.chat.completions.create(model="fake-echo", messages=ask("four words of text"))
    assert answer.choices[0].message.content == "four words of text"
    assert answer.usage is not None
    assert Decimal(answer.usage.cost) == before - live.balance() == Decimal("0.00001")
    assert answer.usage.currency == "USD"


async def test_the_async_client_streams_word_by_word(live: Live) -> None:
    before = live.balance()
    async with openai.AsyncOpenAI(base_url=f"{live.url}/v1", api_key=live.api_key, max_retries=0) as client:
        stream = await client.chat.completions.create(
            model="fake-echo", messages=ask("alpha beta gamma"), stream=True
        )
        parts = [chunk.choices[0].delta.content async for chunk in stream if chunk.choices]
    assert [part for part in parts if part] == ["alpha ", "beta ", "gamma "]
    assert before - live.balance() == Decimal("0.0000075")


async def test_the_async_client_answers_whole(live: Live) -> None:
    async with openai.AsyncOpenAI(base_url=f"{live.url}/v1", api_key=live.api_key, max_retries=0) as client:
        answer = await client.chat.completions.create(model="fake-echo", messages=ask("hello"))
    assert answer.choices[0].message.content == "hello"


def test_a_stream_ends_with_usage_and_cost_when_the_client_asks_for_usage(
    live: Live, sdk: openai.OpenAI
) -> None:
    before = live.balance()
    stream = sdk.chat.completions.create(
        model="fake-echo",
        messages=ask("one two three"),
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    assert [chunk for chunk in chunks[:-1] if chunk.usage] == []  # only the last one states usage
    last = chunks[-1]
    assert last.choices == []
    assert last.usage is not None
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (3, 3)
    assert Decimal(last.usage.cost) == before - live.balance() == Decimal("0.0000075")


def test_a_stream_has_no_usage_chunk_when_the_client_did_not_ask(sdk: openai.OpenAI) -> None:
    stream = sdk.chat.completions.create(model="fake-echo", messages=ask("one two"), stream=True)
    assert [chunk for chunk in stream if chunk.usage or not chunk.choices] == []


def test_the_list_of_models_has_prices_and_one_model_can_be_asked_for(sdk: openai.OpenAI) -> None:
    listed = {model.id: model for model in sdk.models.list()}
    assert listed["fake-echo"].pricing == {
        "currency": "USD",
        "per_million": {"input": "0.5", "cached_input": "0.05", "output": "2"},
        "per_call": "0",
    }
    assert listed["fake-unpriced"].pricing is None
    assert sdk.models.retrieve("fake-echo").id == "fake-echo"
    with pytest.raises(openai.NotFoundError) as caught:
        sdk.models.retrieve("no-such-model")
    assert caught.value.code == "model_not_found"


@pytest.mark.parametrize(
    ("model", "error", "status", "code"),
    [
        ("no-such-model", openai.NotFoundError, 404, "model_not_found"),
        ("fake-unpriced", openai.ConflictError, 409, "price_missing"),
        ("fake-400", openai.BadRequestError, 400, "upstream_rejected"),
        ("fake-500", openai.InternalServerError, 503, "upstream_unavailable"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal_is_the_sdk_class_of_its_status(
    sdk: openai.OpenAI,
    model: str,
    error: type[openai.APIStatusError],
    status: int,
    code: str,
    stream: bool,
) -> None:
    with pytest.raises(error) as caught:
        sdk.chat.completions.create(model=model, messages=ask("hi"), stream=stream)
    assert caught.value.status_code == status
    assert caught.value.code == code
    assert caught.value.body["trace_id"] == caught.value.response.headers["x-trace-id"]


def test_a_wrong_key_is_an_authentication_error(live: Live) -> None:
    with (
        openai.OpenAI(base_url=f"{live.url}/v1", api_key="sk-wrong", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        client.chat.completions.create(model="fake-echo", messages=ask("hi"))
    assert caught.value.code == "unauthorized"
    assert caught.value.type == "authentication_error"


def test_a_limit_below_one_is_a_bad_request(sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        sdk.chat.completions.create(model="fake-echo", messages=ask("hi"), max_tokens=0)
    assert caught.value.param == "max_tokens"


def test_an_error_in_the_middle_of_a_stream_is_raised_by_the_sdk(live: Live, sdk: openai.OpenAI) -> None:
    stream = sdk.chat.completions.create(model="fake-no-done", messages=ask("one two three"), stream=True)
    with pytest.raises(openai.APIError, match="broke off"):
        list(stream)
    live.balance()


def test_what_came_before_the_error_reaches_the_sdk(sdk: openai.OpenAI) -> None:
    stream = iter(
        sdk.chat.completions.create(model="fake-no-done", messages=ask("one two three"), stream=True)
    )
    parts = [next(stream).choices[0].delta.content for _ in range(3)]
    assert parts == ["", "one ", "two "]
    with pytest.raises(openai.APIError):
        next(stream)
