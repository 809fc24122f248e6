"""A chat call through the gateway: what the client gets, what the books say."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from tests.support.live import Live
from tests.support.streams import listen

INPUT, CACHED, OUTPUT = Decimal("0.5e-6"), Decimal("0.05e-6"), Decimal("2e-6")


def test_the_answer_costs_exactly_what_leaves_the_wallet(live: Live) -> None:
    before = live.balance()
    response = live.chat("fake-echo", "one two three")
    assert response.status_code == 200, response.text
    usage = response.json()["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (3, 3)
    assert Decimal(usage["cost"]) == 3 * INPUT + 3 * OUTPUT
    assert response.headers["x-cost"] == usage["cost"]
    assert response.headers["x-billing-ref-id"].startswith("br_")
    assert before - live.balance() == Decimal(usage["cost"])


def test_a_stream_costs_exactly_what_leaves_the_wallet(live: Live) -> None:
    before = live.balance()
    heard = listen(live, "fake-echo", "one two three four", stream_options={"include_usage": True})
    assert heard.status == 200
    assert heard.headers["content-type"].startswith("text/event-stream")
    assert heard.headers["x-billing-ref-id"].startswith("br_")
    assert "x-cost" not in heard.headers  # not known yet when the headers are sent
    assert heard.text == "one two three four "
    assert heard.events[-1] == ("", "[DONE]")
    assert heard.usage is not None
    assert Decimal(heard.usage["cost"]) == before - live.balance() == 4 * INPUT + 4 * OUTPUT


def test_the_books_are_closed_before_the_stream_says_that_it_is_done(live: Live) -> None:
    """No waiting here: when [DONE] has arrived the wallet is already right and nothing is frozen."""
    before = live.balance()
    heard = listen(live, "fake-echo", "alpha beta")
    assert heard.done
    wallet = live.wallet()
    assert wallet["frozen"] == "0"
    assert before - Decimal(wallet["balance"]) == 2 * INPUT + 2 * OUTPUT


def test_frames_reach_the_client_as_the_provider_wrote_them(live: Live) -> None:
    heard = listen(live, "fake-echo", "fünf 词 😀 verbatim-frames")
    received = live.upstream.of_prompt("verbatim-frames")[-1]
    theirs = received.sent.decode().split("\n\n")
    ours = heard.body.split("\n\n")
    # Everything but the usage event, which the client did not ask for, is byte for byte the same.
    assert ours == [frame for frame in theirs if '"usage"' not in frame]


def test_unknown_fields_reach_the_provider_and_the_client_untouched(live: Live) -> None:
    response = live.chat(
        "fake-echo",
        "pass-through",
        temperature=0.1,
        seed=2**60,
        vendor_field={"a": [1, 2.50, None]},
        logit_bias={"50256": -100},
    )
    assert response.status_code == 200
    body = live.upstream.of_prompt("pass-through")[-1].body
    assert body["seed"] == 2**60
    assert body["vendor_field"] == {"a": [1, 2.50, None]}
    assert body["logit_bias"] == {"50256": -100}
    assert body["temperature"] == 0.1


def test_the_provider_sees_its_own_credential_and_never_the_callers(live: Live) -> None:
    live.chat("fake-echo", "whose-credential")
    headers = live.upstream.of_prompt("whose-credential")[-1].headers
    assert live.api_key not in json.dumps(headers)
    assert [value for name, value in headers.items() if name.lower() == "authorization"] == [
        f"Bearer {live.upstream.api_key}"
    ]


def test_the_output_is_bounded_by_what_was_held(live: Live) -> None:
    """The provider is told a limit even when the client names none: the hold covers exactly that much."""
    live.chat("fake-echo", "bounded-output")
    assert live.upstream.of_prompt("bounded-output")[-1].body["max_tokens"] == 200
    live.chat("fake-echo", "bounded-lower", max_tokens=2)
    assert live.upstream.of_prompt("bounded-lower")[-1].body["max_tokens"] == 2
    live.chat("fake-echo", "bounded-higher", max_completion_tokens=100_000)
    body = live.upstream.of_prompt("bounded-higher")[-1].body
    assert body["max_completion_tokens"] == 200
    assert "max_tokens" not in body


def test_the_largest_request_there_is_does_not_overflow_the_books(live: Live) -> None:
    before = live.balance()
    response = live.chat("fake-echo", "huge", n=128, max_tokens=10**30)
    assert response.status_code == 200, response.text
    # 128 choices of at most 200 tokens, whatever the client asked for.
    assert Decimal(live.trace(response.headers["x-trace-id"])["hold"]["amount"]) > 128 * 200 * OUTPUT
    assert before - live.balance() == INPUT + OUTPUT


def test_cached_tokens_cost_their_own_price(live: Live) -> None:
    before = live.balance()
    usage = live.chat("fake-cached", "one two three").json()["usage"]
    assert Decimal(usage["cost"]) == 2 * INPUT + 1 * CACHED + 3 * OUTPUT
    assert before - live.balance() == Decimal(usage["cost"])


@pytest.mark.parametrize("model", ["fake-no-usage", "fake-negative-usage"])
@pytest.mark.parametrize("stream", [False, True])
def test_without_credible_usage_the_tokens_are_counted_and_marked_as_estimated(
    live: Live,
    model: str,
    stream: bool,
) -> None:
    before = live.balance()
    if stream:
        heard = listen(live, model, "one two three", stream_options={"include_usage": True})
        assert heard.done
        usage, trace_id = heard.usage, heard.headers["x-trace-id"]
    else:
        response = live.chat(model, "one two three")
        assert response.status_code == 200, response.text
        usage, trace_id = response.json()["usage"], response.headers["x-trace-id"]
    assert usage is not None
    assert usage["estimated"] is True
    assert usage["prompt_tokens"] > 0
    assert usage["completion_tokens"] == 4  # "one two three" and a blank: 14 bytes, one token per four
    assert Decimal(usage["cost"]) == before - live.balance() > 0
    assert live.trace(trace_id)["usage"]["source"] == "estimated"


def test_a_session_can_call_models_in_its_first_project_or_a_named_one(live: Live) -> None:
    tenant = live.tenant()
    path = f"/api/organizations/{tenant.organization_id}/projects"
    second = live.call(path, tenant.token, "POST", json={"name": "Second"}).json()["id"]
    first = live.chat("fake-echo", "hi", tenant.token)
    assert live.trace(first.headers["x-trace-id"], tenant.token)["project_id"] == tenant.project_id
    named = live.call(
        "/v1/chat/completions",
        tenant.token,
        "POST",
        json={"model": "fake-echo", "messages": [{"role": "user", "content": "hi"}]},
        headers={"x-deepspace-project": second},
    )
    assert live.trace(named.headers["x-trace-id"], tenant.token)["project_id"] == second


def test_a_failing_channel_is_left_for_the_next_one(live: Live) -> None:
    before = live.balance()
    first = live.channel({"model": "two-ways", "upstream_model": "fake-500"}, priority=10)
    second = live.channel({"model": "two-ways", "upstream_model": "fake-echo"}, priority=5)
    response = live.chat("two-ways", "over here")
    assert response.status_code == 200, response.text
    story = live.trace(response.headers["x-trace-id"])
    tried = [(attempt["channel_name"], attempt["status"]) for attempt in story["attempts"]]
    assert tried == [(first["name"], 500), (second["name"], 200)]
    assert story["attempts"][0]["error"] == "The provider is unavailable (500): fake failure 500"
    assert story["attempts"][1]["error"] is None
    # One hold, one capture, one charge: the failed attempt costs nothing.
    assert [entry["type"] for entry in story["transactions"]] == ["hold", "capture"]
    assert before - live.balance() == 2 * INPUT + 2 * OUTPUT


def test_a_disabled_channel_is_not_used_and_comes_back_when_enabled(live: Live) -> None:
    channel = live.channel({"model": "on-and-off", "upstream_model": "fake-echo"})
    token = live.operator_token()
    path = f"/api/admin/channels/{channel['id']}"
    assert live.chat("on-and-off", "hi").status_code == 200
    assert live.call(path, token, "PATCH", json={"status": "disabled"}).json()["status"] == "disabled"
    assert live.chat("on-and-off", "hi").json()["error"]["code"] == "model_not_found"
    live.call(path, token, "PATCH", json={"status": "enabled"})
    assert live.chat("on-and-off", "hi").status_code == 200
