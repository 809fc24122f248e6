"""A client that leaves in the middle: the books are closed all the same."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.support.live import PRICE, TIMEOUTS, Live, as_
from tests.support.streams import eventually

WORDS = " ".join(f"word{number}" for number in range(40))  # two seconds at 50 ms a word


@pytest.fixture(scope="module")
def cancelling(live: Live) -> str:
    """A model whose channel stops the provider when the client leaves."""
    live.channel({"model": "cancel-slow", "upstream_model": "fake-slow"}, on_disconnect="cancel")
    live.channel(
        {"model": "cancel-hang", "upstream_model": "fake-hang"},
        on_disconnect="cancel",
        timeouts={**TIMEOUTS, "first_byte_s": 20},
    )
    return "cancel"


def leave_in_the_middle(live: Live, model: str, text: str) -> tuple[str, int]:
    """Read a stream until a few words have come, then hang up; return (trace id, words seen)."""
    body = {"model": model, "messages": [{"role": "user", "content": text}], "stream": True}
    with live.http.stream("POST", "/v1/chat/completions", json=body, headers=as_(live.api_key)) as response:
        assert response.status_code == 200
        seen = 0
        for line in response.iter_lines():
            seen += "word" in line
            if seen == 5:
                break
        return response.headers["x-trace-id"], seen


def test_under_drain_the_answer_is_read_to_its_end_and_the_exact_usage_is_charged(live: Live) -> None:
    before = live.balance()
    trace_id, _ = leave_in_the_middle(live, "fake-slow", f"drain-me {WORDS}")
    story = live.trace(trace_id)
    assert story["state"] == "captured"
    assert story["usage"]["source"] == "reported"
    assert story["usage"]["output_tokens"] == 41
    assert "client.left" in [event["event"] for event in story["timeline"]]
    [received] = live.upstream.of_prompt("drain-me")
    assert received.finished
    assert not received.client_left
    expected = 41 * (Decimal(PRICE["input"]) + Decimal(PRICE["output"])) / 10**6
    assert before - live.balance() == Decimal(story["cost"]) == expected


def test_under_cancel_the_provider_is_stopped_and_what_was_delivered_is_charged(
    live: Live, cancelling: str
) -> None:
    before = live.balance()
    trace_id, _ = leave_in_the_middle(live, "cancel-slow", f"cancel-me {WORDS}")
    [received] = live.upstream.of_prompt("cancel-me")
    eventually(lambda: received.client_left, within_s=1.5)  # the whole answer would take two seconds
    story = live.trace(trace_id)
    assert story["state"] == "captured"
    assert story["usage"]["source"] == "estimated"
    assert 0 < story["usage"]["output_tokens"] < 41 * 2
    assert story["attempts"][0]["error"] == "stopped: the client left"
    assert story["error"] is None  # it is nobody's failure
    assert before - live.balance() == Decimal(story["cost"]) > 0


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_before_the_first_byte_pays_nothing(
    live: Live,
    cancelling: str,
    stream: bool,
) -> None:
    before = live.balance()
    text = f"left-early-{stream}"
    body = {"model": "cancel-hang", "messages": [{"role": "user", "content": text}], "stream": stream}
    with pytest.raises(TimeoutError):
        _give_up_after(live, 0.3, body)
    [received] = eventually(lambda: live.upstream.of_prompt(text))
    eventually(lambda: received.client_left, within_s=2)
    assert live.balance() == before
    entries = live.call(f"/api/organizations/{live.organization_id}/transactions?limit=2").json()["items"]
    assert [entry["type"] for entry in entries] == ["release", "hold"]


def test_a_whole_answer_is_charged_even_if_the_client_left_meanwhile(live: Live) -> None:
    """Under `drain` the provider's work is paid for by whoever asked for it."""
    before = live.balance()
    text = "left-but-whole " + " ".join(["word"] * 19)
    body = {"model": "fake-slow", "messages": [{"role": "user", "content": text}]}
    with pytest.raises(TimeoutError):
        _give_up_after(live, 0.4, body)
    expected = 20 * (Decimal(PRICE["input"]) + Decimal(PRICE["output"])) / 10**6
    eventually(lambda: before - live.balance() == expected)


def _give_up_after(live: Live, seconds: float, body: dict[str, object]) -> None:
    import httpx2

    with httpx2.Client(base_url=live.url, timeout=seconds, trust_env=False) as impatient:
        try:
            impatient.post("/v1/chat/completions", json=body, headers=as_(live.api_key))
        except httpx2.ReadTimeout:
            raise TimeoutError from None
