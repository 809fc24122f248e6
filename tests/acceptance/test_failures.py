"""A provider that misbehaves: the client is told, the books are right, nothing stays frozen."""

from __future__ import annotations

import json
import uuid
from decimal import Decimal

import pytest

from tests.support.live import Live
from tests.support.streams import listen

BEFORE_THE_FIRST_BYTE = [
    ("fake-hang", 504, "upstream_timeout"),
    ("fake-html", 502, "upstream_error"),
    ("fake-400", 400, "upstream_rejected"),
    ("fake-401", 503, "upstream_unavailable"),
    ("fake-429", 503, "upstream_unavailable"),
    ("fake-500", 503, "upstream_unavailable"),
    ("fake-529", 503, "upstream_unavailable"),
]
IN_THE_MIDDLE = [
    ("fake-hang-mid", 504, "upstream_timeout"),
    ("fake-reset-mid", 503, "upstream_unavailable"),
    ("fake-no-done", 502, "upstream_error"),
    ("fake-error-event", 502, "upstream_error"),
    ("fake-bad-utf8", 502, "upstream_error"),
]


@pytest.mark.parametrize(("model", "status", "code"), BEFORE_THE_FIRST_BYTE)
@pytest.mark.parametrize("stream", [False, True])
def test_a_failure_before_the_first_byte_is_a_status_and_costs_nothing(
    live: Live,
    model: str,
    status: int,
    code: str,
    stream: bool,
) -> None:
    if model == "fake-429":
        model = busy(live)
    before = live.balance()
    response = live.chat(model, "one two three", stream=stream)
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert error["code"] == code
    assert error["trace_id"] == response.headers["x-trace-id"]
    assert live.upstream.api_key not in response.text
    assert live.wallet()["frozen"] == "0"  # settled before the client was told
    assert live.balance() == before
    story = live.trace(response.headers["x-trace-id"])
    assert story["state"] == "released"
    assert story["error"]["code"] == code
    assert [entry["type"] for entry in story["transactions"]] == ["hold", "release"]
    assert story["attempts"][-1]["error"]


@pytest.mark.parametrize(("model", "status", "code"), IN_THE_MIDDLE)
def test_a_failure_of_a_whole_answer_is_a_status_and_costs_nothing(
    live: Live, model: str, status: int, code: str
) -> None:
    before = live.balance()
    response = live.chat(model, "one two three")
    assert response.status_code == status, response.text
    assert response.json()["error"]["code"] == code
    assert live.wallet()["frozen"] == "0"
    assert live.balance() == before
    assert live.trace(response.headers["x-trace-id"])["state"] == "released"


@pytest.mark.parametrize(("model", "status", "code"), IN_THE_MIDDLE)
def test_a_failure_in_the_middle_of_a_stream_is_an_error_event_and_charges_what_was_delivered(
    live: Live, model: str, status: int, code: str
) -> None:
    before = live.balance()
    heard = listen(live, model, "one two three", stream_options={"include_usage": True})
    assert heard.status == 200
    assert heard.text in {"one ", "one two "}
    assert not heard.done  # never a bare [DONE] after half an answer
    [error] = heard.errors
    assert error["code"] == code
    assert error["trace_id"] == heard.headers["x-trace-id"]
    assert heard.events[-1][0] == "error"
    story = live.trace(heard.headers["x-trace-id"])
    assert story["state"] == "captured"
    assert story["usage"]["source"] == "estimated"
    # One token per four bytes of what the client has in hand, and not one more.
    assert story["usage"]["output_tokens"] == -(-len(heard.text) // 4)
    assert story["error"] == {"code": code, "status": status, "message": error["message"]}
    assert before - live.balance() == Decimal(story["cost"]) > 0


def busy(live: Live) -> str:
    """Return a model whose provider asks to be left alone; each test has its own, or it would wait."""
    name = f"busy-{uuid.uuid4().hex[:8]}"
    live.channel({"model": name, "upstream_model": "fake-429", "max_output_tokens": 200})
    return name


def test_a_busy_provider_is_left_alone_for_as_long_as_it_asks_and_the_client_is_told(live: Live) -> None:
    model = busy(live)
    prompt = uuid.uuid4().hex
    for _ in range(3):
        response = live.chat(model, prompt)
        assert response.status_code == 503
        assert 5 <= int(response.headers["retry-after"]) <= 7
    assert len(live.upstream.of_prompt(prompt)) == 1


def test_a_channel_takes_over_from_a_busy_one(live: Live) -> None:
    model = busy(live)
    live.channel(
        {"model": model, "upstream_model": "fake-echo", "max_output_tokens": 200}, price=False, priority=-1
    )
    prompt = uuid.uuid4().hex
    for number in range(3):
        response = live.chat(model, prompt)
        assert response.status_code == 200
        attempts = live.trace(response.headers["x-trace-id"])["attempts"]
        assert len(attempts) == (2 if number == 0 else 1)


def test_a_provider_that_refuses_our_credential_is_our_problem_and_not_the_callers(live: Live) -> None:
    error = live.chat("fake-401", "hi").json()["error"]
    assert error["type"] == "api_error"
    assert "credential" in error["message"]


def test_what_the_provider_says_of_a_bad_request_reaches_the_client(live: Live) -> None:
    error = live.chat("fake-400", "hi").json()["error"]
    assert error["message"] == "The provider refused the request (400): fake failure 400"
    assert error["type"] == "invalid_request_error"


def test_a_busy_provider_is_tried_again_and_a_bad_request_is_not(live: Live) -> None:
    live.chat("fake-500", "try-again-500")
    assert len(live.upstream.of_prompt("try-again-500")) == 3
    live.chat("fake-400", "try-again-400")
    assert len(live.upstream.of_prompt("try-again-400")) == 1


def test_a_provider_nobody_listens_at_is_unavailable(live: Live) -> None:
    before = live.balance()
    live.channel({"model": "nobody-home"}, base_url="http://127.0.0.1:9/v1")
    response = live.chat("nobody-home", "hi")
    assert (response.status_code, response.json()["error"]["code"]) == (503, "upstream_unavailable")
    assert live.balance() == before


def test_a_stranger_answering_for_a_host_name_that_does_not_exist_is_unavailable(live: Live) -> None:
    live.channel({"model": "no-such-host"}, base_url="http://no-such-host.invalid/v1")
    response = live.chat("no-such-host", "hi")
    assert (response.status_code, response.json()["error"]["code"]) == (503, "upstream_unavailable")


def test_the_books_balance_after_all_of_this(live: Live) -> None:
    """`frozen` is zero and the sum of the organisation's entries is its balance, to the last nano."""
    for model in ("fake-echo", "fake-no-done", "fake-500"):
        live.chat(model, "hi", stream=True)
    balance = live.balance()
    total, cursor = Decimal(0), None
    sign = {"topup": 1, "refund": 1, "capture": -1, "hold": 0, "release": 0}
    while True:
        page = live.call(
            f"/api/organizations/{live.organization_id}/transactions",
            params={"limit": 200, **({"cursor": cursor} if cursor else {})},
        ).json()
        total += sum((sign[item["type"]] * Decimal(item["amount"]) for item in page["items"]), Decimal(0))
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert total == balance


def test_a_failed_stream_ends_with_json_that_any_client_can_read(live: Live) -> None:
    heard = listen(live, "fake-error-event", "one two three")
    name, data = heard.events[-1]
    assert name == "error"
    assert set(json.loads(data)["error"]) == {"message", "type", "code", "param", "trace_id"}
    assert "the fake model fell over" in json.loads(data)["error"]["message"]


def test_text_that_came_with_the_error_in_one_piece_is_delivered_and_charged(live: Live) -> None:
    before = live.balance()
    heard = listen(live, "fake-at-once", "hi")
    assert heard.text == "word word "
    assert live.trace(heard.headers["x-trace-id"])["state"] == "captured"
    assert live.balance() < before
