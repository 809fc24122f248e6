"""Reading answers of the OpenAI dialect, as real providers write them."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepspace.upstream.errors import UpstreamError
from deepspace.upstream.wire import error_message, estimate_tokens, read_answer


def chunk(delta: dict[str, object], **fields: object) -> bytes:
    """Return a stream's chunk."""
    return msgspec.json.encode({"choices": [{"index": 0, "delta": delta, **fields}]})


def test_an_error_object_in_a_stream_is_an_error_with_its_message() -> None:
    seen = read_answer(b'{"error":{"message":"the model fell over","type":"server_error"}}')
    assert seen.error == "the model fell over"
    assert read_answer(b'{"error":"plain text"}').error is not None
    assert read_answer(b'{"error":null,"choices":[]}').error is None


def test_tool_calls_count_as_delivered_output() -> None:
    call = {"index": 0, "id": "c1", "function": {"name": "search", "arguments": '{"q":"x"}'}}
    seen = read_answer(chunk({"role": "assistant", "content": None, "tool_calls": [call]}))
    assert seen.error is None
    assert "search" in seen.text
    assert read_answer(chunk({"content": "hi", "tool_calls": None})).text == "hi"


def test_reasoning_counts_as_delivered_output() -> None:
    assert read_answer(chunk({"reasoning_content": "let me think", "content": None})).text == "let me think"
    assert read_answer(chunk({"reasoning": "let me think"})).text == "let me think"


def test_a_finish_reason_says_that_the_answer_is_complete() -> None:
    assert read_answer(chunk({}, finish_reason="stop")).finished
    assert not read_answer(chunk({}, finish_reason=None)).finished


@pytest.mark.parametrize("payload", [b"", b"<html>", b"[]", b'"text"', b"{", b'{"choices":7}', b"\xff"])
def test_what_is_no_answer_is_an_upstream_error(payload: bytes) -> None:
    with pytest.raises(UpstreamError):
        read_answer(payload)


@pytest.mark.parametrize(
    "usage", ["null", '"many"', '{"prompt_tokens":"3"}', '{"prompt_tokens":1.5}', "[]", "{}"]
)
def test_usage_of_the_wrong_form_is_as_good_as_none_and_the_answer_stands(usage: str) -> None:
    seen = read_answer(f'{{"choices":[{{"message":{{"content":"hi"}}}}],"usage":{usage}}}'.encode())
    assert seen.text == "hi"
    assert seen.usage is None


counts = st.integers(min_value=0, max_value=10**6)


@given(counts, counts, st.tuples(counts, counts), counts, counts, counts, counts)
def test_the_classes_of_credible_usage_are_disjoint_and_add_up(
    plain: int, cached: int, written: tuple[int, int], audio: int, output: int, reasoning: int, spoken: int
) -> None:
    usage = {
        "prompt_tokens": plain + cached + sum(written) + audio,
        "completion_tokens": output + reasoning + spoken,
        "prompt_tokens_details": {
            "cached_tokens": cached,
            "cache_write_tokens": written[0],
            "cache_write_1h_tokens": written[1],
            "audio_tokens": audio,
        },
        "completion_tokens_details": {"reasoning_tokens": reasoning, "audio_tokens": spoken},
    }
    seen = read_answer(msgspec.json.encode({"choices": [], "usage": usage}))
    assert seen.usage is not None
    assert seen.usage.classes() == {
        "input": plain,
        "cached_input": cached,
        "cache_write": written[0],
        "cache_write_1h": written[1],
        "audio_input": audio,
        "output": output,
        "reasoning": reasoning,
        "audio_output": spoken,
    }


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": -1, "completion_tokens": 1},
        {"prompt_tokens": 1, "completion_tokens": -1},
        {"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 6}},
        {"prompt_tokens": 5, "completion_tokens": 2, "completion_tokens_details": {"reasoning_tokens": 3}},
        {"prompt_tokens": 2**40, "completion_tokens": 0},
    ],
)
def test_usage_that_contradicts_itself_is_not_believed(usage: dict[str, object]) -> None:
    seen = read_answer(msgspec.json.encode({"choices": [], "usage": usage}))
    assert seen.usage is not None
    assert seen.usage.classes() is None


def test_the_message_of_an_error_body_is_found_cut_and_free_of_what_a_database_refuses() -> None:
    assert error_message(b'{"error":{"message":"no credit"}}') == "no credit"
    assert error_message(b'{"message":"no credit"}') == "no credit"
    assert error_message(b"<html>no credit</html>") == "<html>no credit</html>"
    assert len(error_message(b'{"error":{"message":"' + b"x" * 100_000 + b'"}}')) <= 1000
    # PostgreSQL takes no NUL in JSONB, and this text is committed together with the money.
    assert error_message(b'{"error":{"message":"a\\u0000b"}}') == "a\ufffdb"
    assert error_message(b"a\x00b") == "a\ufffdb"


@given(st.text(max_size=200))
def test_the_estimate_grows_with_the_text_and_is_never_more_than_a_token_a_byte(text: str) -> None:
    tokens = estimate_tokens(text)
    assert tokens <= len(text.encode("utf-8", "surrogatepass"))
    assert estimate_tokens(text + "a") >= tokens
    assert (tokens > 0) == bool(text)
