"""POST /v1/completions with the official `openai` SDK, on channels of both dialects."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import openai
import pytest
from openai.types import Completion

from deepspace.gateway.openai.completions import logprobs_of
from deepspace.testing.fake_anthropic import FakeAnthropic
from tests.support.live import Live, as_

BOTH = pytest.mark.parametrize("model", ["fake-echo", "claude-echo"])


@pytest.fixture
def sdk(live: Live, claude: FakeAnthropic) -> Iterator[openai.OpenAI]:
    """The client as OpenAI ships it, with another base URL."""
    with openai.OpenAI(base_url=f"{live.url}/v1", api_key=live.api_key, max_retries=0) as client:
        yield client


def post(live: Live, key: str | None = None, **asked: Any) -> Any:
    """Make a request with the operator's key, unless told."""
    headers = asked.pop("headers", {})
    return live.call("/v1/completions", key, "POST", json={"model": "fake-echo", **asked}, headers=headers)


def test_who_may_ask(live: Live) -> None:
    asked = {"model": "fake-echo", "prompt": "hello"}
    assert live.http.post("/v1/completions", json=asked).status_code == 401
    assert live.http.post("/v1/completions", json=asked, headers=as_("sk-wrong")).status_code == 401
    _, scoped = live.key(models=["fake-slow"])
    assert post(live, scoped, prompt="hello").status_code == 403
    poor = live.tenant("0").api_key
    assert post(live, poor, prompt="hello").json()["error"]["code"] == "insufficient_funds"
    assert post(live, prompt="hello").status_code == 200


@BOTH
def test_a_completion_is_of_the_sdks_type_and_has_its_cost(
    live: Live, sdk: openai.OpenAI, model: str
) -> None:
    before = live.balance()
    made: Any = sdk.completions.create(model=model, prompt=["four words of text"])
    Completion.model_validate(made.model_dump())
    assert (made.object, made.choices[0].text, made.choices[0].finish_reason) == (
        "text_completion",
        "four words of text",
        "stop",
    )
    assert (made.usage.prompt_tokens, made.usage.completion_tokens) == (4, 4)
    assert Decimal(made.usage.cost) == before - live.balance() == Decimal("0.00001")


@BOTH
@pytest.mark.parametrize("wants_usage", [False, True])
def test_a_stream_is_text_and_ends_with_usage_if_asked_for(
    live: Live, sdk: openai.OpenAI, model: str, wants_usage: bool
) -> None:
    before = live.balance()
    options: Any = {"stream_options": {"include_usage": True}} if wants_usage else {}
    chunks: list[Any] = list(
        sdk.completions.create(model=model, prompt="alpha beta gamma", stream=True, **options)
    )
    assert "".join(choice.text for chunk in chunks for choice in chunk.choices).strip() == "alpha beta gamma"
    spent = before - live.balance()
    if wants_usage:
        assert chunks[-1].choices == []
        assert (chunks[-1].usage.completion_tokens, Decimal(chunks[-1].usage.cost)) == (3, spent)
        chunks.pop()
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_what_a_channel_gets_is_one_message(live: Live, sdk: openai.OpenAI) -> None:
    sdk.completions.create(
        model="fake-echo",
        prompt="what the channel of a completion gets",
        max_tokens=9,
        n=2,
        best_of=2,
        stop=["END"],
        seed=7,
        temperature=0.5,
        logprobs=3,
        echo=False,
    )
    (got,) = live.upstream.of_prompt("what the channel of a completion gets")
    assert got.body == {
        "model": "fake-echo",
        "messages": [{"role": "user", "content": "what the channel of a completion gets"}],
        "max_tokens": 9,
        "n": 2,
        "stop": ["END"],
        "seed": 7,
        "temperature": 0.5,
        "logprobs": True,
        "top_logprobs": 3,
    }


@pytest.mark.parametrize(
    ("asked", "param", "code"),
    [
        ({"prompt": ""}, "prompt", "invalid_request"),
        ({"prompt": {"a": 1}}, "prompt", "invalid_request"),
        ({}, "prompt", "invalid_request"),
        ({"prompt": "hi", "max_tokens": 0}, "max_tokens", "invalid_request"),
        ({"prompt": "hi", "n": 0}, "n", "invalid_request"),
        ({"prompt": "hi", "logprobs": 99}, "logprobs", "invalid_request"),
        ({"prompt": ["one", "two"]}, "prompt", "unsupported_feature"),
        ({"prompt": [1, 2, 3]}, "prompt", "unsupported_feature"),
        ({"prompt": [[1, 2, 3]]}, "prompt", "unsupported_feature"),
        ({"prompt": "hi", "echo": True}, "echo", "unsupported_feature"),
        ({"prompt": "hi", "suffix": "bye"}, "suffix", "unsupported_feature"),
        ({"prompt": "hi", "best_of": 3}, "best_of", "unsupported_feature"),
    ],
)
def test_what_is_not_offered_is_refused_with_the_field(
    live: Live, asked: dict[str, Any], param: str, code: str
) -> None:
    refused = post(live, **asked)
    error = refused.json()["error"]
    assert (refused.status_code, error["code"], error["param"]) == (400, code, param)


@pytest.mark.parametrize("stream", [False, True])
@BOTH
def test_a_retry_under_the_same_reference_is_replayed_byte_for_byte_and_free(
    live: Live, claude: FakeAnthropic, model: str, stream: bool
) -> None:
    headers = {"idempotency-key": uuid.uuid4().hex}
    before = live.balance()
    first = post(live, model=model, prompt="say it once", stream=stream, headers=headers)
    spent = before - live.balance()
    again = post(live, model=model, prompt="say it once", stream=stream, headers=headers)
    assert (again.content, again.headers["idempotent-replayed"]) == (first.content, "true")
    assert before - live.balance() == spent > 0


def test_a_stream_that_breaks_off_is_raised_by_the_sdk(live: Live, sdk: openai.OpenAI) -> None:
    heard: list[Any] = []
    with pytest.raises(openai.APIError, match="broke off"):
        heard.extend(sdk.completions.create(model="fake-no-done", prompt="one two three", stream=True))
    assert "".join(chunk.choices[0].text for chunk in heard) == "one two "
    live.balance()


def test_log_probabilities_have_their_places_in_the_text() -> None:
    def token(text: str, logprob: float) -> dict[str, Any]:
        return {"token": text, "logprob": logprob, "top_logprobs": [{"token": text, "logprob": logprob}]}

    assert logprobs_of({"content": [token("He", -0.5), token("llo", -0.25)]}, 10) == {
        "tokens": ["He", "llo"],
        "token_logprobs": [-0.5, -0.25],
        "top_logprobs": [{"He": -0.5}, {"llo": -0.25}],
        "text_offset": [10, 12],
    }
    assert logprobs_of({}, 0) is None
