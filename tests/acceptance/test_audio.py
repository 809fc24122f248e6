"""POST /v1/audio/speech, /transcriptions and /translations."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx2
import openai
import pytest

from tests.support.live import Live, as_
from tests.support.operations import priced, refusal, refused_in_turn

SPEECH, WRITING, ENGLISH = "/v1/audio/speech", "/v1/audio/transcriptions", "/v1/audio/translations"
CHARACTER, SOUND_OUT = Decimal("15e-6"), Decimal("12e-6")
SOUND_IN, TEXT_OUT, CALL = Decimal("6e-6"), Decimal("10e-6"), Decimal("0.001")
VOICE_RATES = {"input": "15", "audio_output": "12"}
EAR_RATES = {"input": "2.5", "audio_input": "6", "output": "10"}


@pytest.fixture(scope="module", autouse=True)
def channel(live: Live) -> None:
    """The fake provider's voices and ears."""
    live.channel({"model": "fake-voice-unpriced"}, {"model": "fake-ear-unpriced"}, price=False)
    for how in ("", "-broken", "-json"):
        priced(live, f"fake-voice{how}", f"fake-voice{how}", per_million=VOICE_RATES)
    for how in ("", "-no-usage", "-duration"):
        priced(live, f"fake-ear{how}", f"fake-ear{how}", per_million=EAR_RATES, per_call="0.001")
    priced(live, "ear-alias", "fake-ear", per_million=EAR_RATES, per_call="0.001")


@pytest.fixture(scope="module")
def sdk(live: Live) -> Iterator[openai.OpenAI]:
    """The official client."""
    with openai.OpenAI(base_url=f"{live.url}/v1", api_key=live.api_key, max_retries=0) as client:
        yield client


def speak(live: Live, text: str = "good day", **fields: Any) -> httpx2.Response:
    """Have a text spoken."""
    headers = fields.pop("headers", {})
    body = {"model": "fake-voice", "voice": "alloy", "input": text, **fields}
    return live.call(SPEECH, None, "POST", json=body, headers=headers)


def write(live: Live, recording: bytes = b"good day", path: str = WRITING, **fields: str) -> httpx2.Response:
    """Have a recording written down."""
    form = {"model": "fake-ear", **fields}
    return live.call(path, None, "POST", data=form, files={"file": ("a.mp3", recording, "audio/mpeg")})


def test_who_may_not_have_a_text_spoken_is_refused_before_anything_is_sent(live: Live) -> None:
    body = {"input": "hello", "voice": "alloy"}
    refused_in_turn(live, SPEECH, "audio", ("fake-voice-unpriced", "fake-voice"), json=body)


@pytest.mark.parametrize("path", [WRITING, ENGLISH])
def test_who_may_not_have_a_recording_written_down_is_refused_before_anything_is_sent(
    live: Live, path: str
) -> None:
    form = {"data": {"language": "en"}, "files": {"file": ("a.mp3", b"good day")}}
    refused_in_turn(live, path, "audio", ("fake-ear-unpriced", "fake-ear"), **form)


def test_sound_comes_through_byte_for_byte_and_its_characters_are_paid(
    live: Live, sdk: openai.OpenAI
) -> None:
    before = live.balance()
    spoken = sdk.audio.speech.create(model="fake-voice", voice="alloy", input="fünf gute Tage 词")
    assert spoken.content == live.upstream.operations.asked[-1].sent
    assert spoken.response.headers["content-type"] == "audio/mpeg"
    assert before - live.balance() == 16 * CHARACTER
    story = live.trace(spoken.response.headers["x-trace-id"])
    assert (story["state"], story["usage"]["source"]) == ("captured", "estimated")


def test_sound_comes_as_it_is_made(live: Live) -> None:
    with live.http.stream(
        "POST",
        SPEECH,
        json={"model": "fake-voice", "voice": "alloy", "input": "one two three four five six seven eight"},
        headers=as_(live.api_key),
    ) as response:
        at = [time.monotonic() for _ in response.iter_raw()]
        assert response.headers["x-billing-ref-id"].startswith("br_")
    assert len(at) > 4
    assert at[-1] - at[0] > 0.1


def test_a_voice_that_breaks_off_is_seen_to_and_paid_for_the_text_that_it_read(live: Live) -> None:
    before = live.balance()
    with pytest.raises(httpx2.RemoteProtocolError):
        speak(live, "good day", model="fake-voice-broken")
    assert before - live.balance() == 8 * CHARACTER


def test_a_voice_that_answers_with_json_is_not_paid(live: Live) -> None:
    before = live.balance()
    assert refusal(speak(live, model="fake-voice-json"))[:2] == (502, "upstream_error")
    assert live.balance() == before


def test_speech_in_events_is_paid_by_the_tokens_that_the_last_one_states(live: Live) -> None:
    before = live.balance()
    response = speak(live, "good day", stream_format="sse")
    assert response.content == live.upstream.operations.asked[-1].sent
    assert before - live.balance() == 2 * CHARACTER + 40 * SOUND_OUT
    assert live.trace(response.headers["x-trace-id"])["usage"]["source"] == "reported"


def test_a_retry_gets_the_same_sound_and_is_charged_once(live: Live) -> None:
    before = live.balance()
    headers = {"idempotency-key": f"speech-{uuid.uuid4()}"}
    first, again = (speak(live, "once only", headers=headers) for _ in range(2))
    assert again.content == first.content
    assert (again.headers["content-type"], again.headers["idempotent-replayed"]) == ("audio/mpeg", "true")
    assert before - live.balance() == 9 * CHARACTER


def test_nothing_to_say_is_refused(live: Live) -> None:
    assert refusal(speak(live, ""))[:2] == (400, "invalid_request")


def test_a_recording_is_written_down_at_the_price_of_its_tokens_and_the_call(
    live: Live, sdk: openai.OpenAI
) -> None:
    before = live.balance()
    written = sdk.audio.transcriptions.create(
        model="ear-alias", file=("a.mp3", b"good day all"), language="en"
    )
    assert written.text == "good day all"
    assert written.usage is not None
    assert Decimal(written.usage.cost) == before - live.balance() == 30 * SOUND_IN + 3 * TEXT_OUT + CALL
    asked = live.upstream.operations.asked[-1]
    assert (asked.body["model"], asked.body["language"]) == ("fake-ear", "en")
    assert [content for _, _, content in asked.body["files"]] == [b"good day all"]


def test_seconds_that_a_provider_states_are_counted_as_tokens_of_sound(live: Live) -> None:
    response = write(live, model="fake-ear-duration")
    assert Decimal(response.json()["usage"]["cost"]) == 9 * SOUND_IN + CALL


def test_without_usage_sound_and_text_are_counted(live: Live) -> None:
    before = live.balance()
    usage = write(live, b"w" * 16_000, model="fake-ear-no-usage").json()["usage"]
    assert usage["estimated"] is True
    assert Decimal(usage["cost"]) == 2 * SOUND_IN + 1000 * TEXT_OUT + CALL == before - live.balance()


@pytest.mark.parametrize("kind", ["text", "srt", "vtt"])
def test_an_answer_that_is_text_comes_through_and_is_counted(live: Live, kind: str) -> None:
    before = live.balance()
    response = write(live, response_format=kind)
    assert response.content == b"good day"
    assert response.headers["content-type"].startswith("text/plain")
    cost = SOUND_IN + 2 * TEXT_OUT + CALL
    assert Decimal(response.headers["x-cost"]) == cost == before - live.balance()


def test_a_stream_of_text_ends_after_the_books_are_closed(live: Live, sdk: openai.OpenAI) -> None:
    before = live.balance()
    stream = sdk.audio.transcriptions.create(model="fake-ear", file=("a.mp3", b"good day"), stream=True)
    assert [event.type for event in stream] == ["it.partial", "it.completed"]
    assert before - Decimal(live.wallet()["balance"]) == 20 * SOUND_IN + 2 * TEXT_OUT + CALL


def test_a_provider_that_does_not_stream_though_asked_to_is_paid_by_what_it_states(live: Live) -> None:
    before = live.balance()
    response = write(live, path=ENGLISH, stream="true")
    assert response.json()["text"] == "good day"
    assert before - live.balance() == 20 * SOUND_IN + 2 * TEXT_OUT + CALL


def test_translations_are_written_down_too(live: Live, sdk: openai.OpenAI) -> None:
    with pytest.warns(DeprecationWarning, match="deprecated"):  # by OpenAI, for the sake of other models
        written = sdk.audio.translations.create(model="fake-ear", file=("a.mp3", b"good day"))
    assert written.text == "good day"


@pytest.mark.parametrize(
    ("fields", "param"),
    [({"model": ""}, "model"), ({"stream": "perhaps"}, "stream")],
    ids=["model", "stream"],
)
def test_a_form_with_a_wrong_field_is_refused(live: Live, fields: dict[str, str], param: str) -> None:
    response = write(live, **fields)
    assert refusal(response)[:2] == (400, "invalid_request")
    assert response.json()["error"]["param"] == param


def test_a_form_without_a_recording_is_refused(live: Live) -> None:
    response = live.call(WRITING, None, "POST", data={"model": "fake-ear"}, files={"other": ("a.mp3", b"")})
    assert response.json()["error"]["param"] == "file"
