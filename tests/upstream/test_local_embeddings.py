"""The built-in embedding model: what it takes, and that no text has more tokens than were held for."""

from __future__ import annotations

import base64
import struct
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from deepspace.gateway.openai.embeddings import parse_embeddings
from deepspace.upstream import local_embeddings
from deepspace.upstream.local_embeddings import Engine, TooLong, answer

pytestmark = pytest.mark.skipif(not local_embeddings.is_installed(), reason="it is not for this platform")


@pytest.fixture(scope="module")
def engine() -> Engine:
    """The engine, loaded once."""
    return Engine()


def ask(engine: Engine, **body: Any) -> dict[str, Any]:
    """Return the answer to a request."""
    return msgspec.json.decode(answer(engine, msgspec.json.encode(body)))


def bound(texts: list[str]) -> int:
    """Return what is held for texts."""
    call = parse_embeddings(msgspec.json.encode({"model": "m", "input": texts}), {})
    assert call.operation is not None
    return call.operation.input_bound


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.text(max_size=40), min_size=1, max_size=5), st.booleans())
@example(["\ufdfa" * 40], True)  # one character that is normalised to eighteen
@example([""], False)
@example(["\x00\x01 \u2028"], True)
@example(["a " * 3000], True)
def test_no_text_has_more_tokens_than_were_held_for(engine: Engine, texts: list[str], is_query: bool) -> None:
    assert 0 < engine.count(texts, is_query=is_query) <= bound(texts)


def test_a_text_has_the_same_vector_alone_and_among_others_in_both_encodings(engine: Engine) -> None:
    alone = ask(engine, input="hello")["data"][0]["embedding"]
    packed = ask(engine, input=["other", "hello"], encoding_format="base64")["data"][1]["embedding"]
    assert list(struct.unpack("<384f", base64.b64decode(packed))) == pytest.approx(alone, abs=1e-6)
    assert ask(engine, input="hello", input_type="passage")["data"][0]["embedding"] != alone


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"input": []},
        {"input": [1, 2]},
        {"input": "a", "dimensions": 256},
        {"input": "a", "encoding_format": "hex"},
    ],
)
def test_what_it_cannot_do_is_refused(engine: Engine, body: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        ask(engine, **body)


def test_a_request_that_would_keep_others_waiting_is_refused_at_once(engine: Engine) -> None:
    with pytest.raises(TooLong):
        engine.embed(["word " * 9000], is_query=True)
