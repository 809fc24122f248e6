"""Addresses that the gateway does not know: only for channels that allow it, and paid by the call."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import httpx2
import pytest

from tests.support.live import Live
from tests.support.operations import price, refusal, refused_in_turn

CALL = Decimal("0.003")
PATH = "/v1/vendor/plain"


@contextmanager
def opened(live: Live) -> Iterator[None]:
    """Let channels pass calls through for a while: elsewhere unknown addresses are to be unknown."""
    models = (
        {"model": "passed"},
        {"model": "passed-tokens"},
        {"model": "passed-unpriced"},
        {"model": "passed-by-tokens"},
    )
    channel = live.channel(*models, price=False, pass_through=True)
    assert channel["pass_through"] is True
    token, path = live.operator_token(), f"/api/admin/channels/{channel['id']}"
    try:
        yield
    finally:
        assert live.call(path, token, "DELETE").status_code == 204


@pytest.fixture(scope="module")
def channel(live: Live) -> Iterator[None]:
    """A channel that passes calls through, and one with a model that does not."""
    live.channel({"model": "not-passed"}, price=False)
    for name in ("passed", "not-passed"):
        price(live, name, per_call="0.003")
    price(live, "passed-tokens", per_call="0.003", per_million={"input": "1", "output": "2"})
    price(live, "passed-by-tokens", per_million={"input": "1"})
    with opened(live):
        yield


def ask(live: Live, path: str = PATH, **fields: Any) -> httpx2.Response:
    """Call an address."""
    return live.call(path, None, "POST", json={"model": "passed", **fields})


def test_an_unknown_address_is_unknown_to_everybody_while_no_channel_passes_it_on(live: Live) -> None:
    for response in (ask(live), live.http.post(PATH, json={}), live.call(PATH)):
        assert refusal(response)[:2] == (404, "not_found")


@pytest.mark.usefixtures("channel")
def test_who_may_not_is_refused_before_anything_is_sent(live: Live) -> None:
    refused_in_turn(live, PATH, "other", ("passed-unpriced", "passed"), json={"a": 1})


@pytest.mark.usefixtures("channel")
def test_every_byte_passes_and_the_call_is_paid(live: Live) -> None:
    before = live.balance()
    response = ask(live, vendor={"a": [1, 2.50]})
    assert response.content == b'{ "done" : true }'
    assert response.headers["x-cost"] == "0.003"
    assert live.upstream.operations.asked[-1].raw == b'{"model":"passed","vendor":{"a":[1,2.5]}}'
    assert before - live.balance() == CALL
    story = live.trace(response.headers["x-trace-id"])
    assert (story["state"], story["hold"]["amount"]) == ("captured", "0.003")


@pytest.mark.usefixtures("channel")
def test_bytes_events_and_forms_pass_too(live: Live) -> None:
    before = live.balance()
    sound = ask(live, "/v1/vendor/bytes")
    assert (sound.content, sound.headers["content-type"]) == (b"\x00\x01\xff", "application/octet-stream")
    events = ask(live, "/v1/vendor/events", stream=True)
    assert events.content == live.upstream.operations.asked[-1].sent
    assert ask(live, "/v1/vendor/list").content == b"[1, 2]"
    form = live.call(PATH, None, "POST", data={"model": "passed"}, files={"any": ("a", b"\x00\xff")})
    assert form.status_code == 200
    assert live.upstream.operations.asked[-1].body["files"] == [("any", "a", b"\x00\xff")]
    assert before - live.balance() == 4 * CALL


@pytest.mark.usefixtures("channel")
def test_tokens_that_a_provider_states_are_paid_beside_the_call(live: Live) -> None:
    before = live.balance()
    response = ask(live, "/v1/vendor/usage", model="passed-tokens")
    assert response.content == live.upstream.operations.asked[-1].sent
    assert before - live.balance() == CALL + Decimal("0.000007")


@pytest.mark.usefixtures("channel")
def test_what_cannot_be_paid_by_the_call_or_passed_on_is_refused(live: Live) -> None:
    assert refusal(ask(live, model="passed-by-tokens"))[:2] == (409, "price_missing")
    assert refusal(ask(live, model="not-passed"))[:2] == (404, "not_found")
    before = live.balance()
    assert refusal(ask(live, "/v1/vendor/page"))[:2] == (502, "upstream_error")
    assert live.balance() == before


@pytest.mark.usefixtures("channel")
@pytest.mark.parametrize(
    "path",
    [
        "/v1",
        "/v1/",
        "/v1//vendor",
        "/v1/vendor/..%2f..%2fadmin",
        "/v1/.hidden",
        "/v1/vendor/plain%0d%0ax-a:b",
        "/v1/organization/admin_api_keys",
        "/v1/" + "a" * 200,
        "/v1/a/b/c/d/e/f/g/h/i",
    ],
)
def test_some_addresses_are_never_passed_on(live: Live, path: str) -> None:
    asked = len(live.upstream.operations.asked)
    assert refusal(ask(live, path))[:2] == (404, "not_found")
    assert len(live.upstream.operations.asked) == asked


@pytest.mark.usefixtures("channel")
def test_wrong_methods_and_bodies_are_refused(live: Live) -> None:
    assert live.call(PATH).headers["allow"] == "POST"
    assert refusal(live.call(PATH, None, "POST", json={"a": 1}))[:2] == (400, "invalid_request")
    plain = live.call(PATH, None, "POST", content=b"hello", headers={"content-type": "text/plain"})
    assert refusal(plain)[:2] == (400, "invalid_request")


@pytest.mark.usefixtures("channel")
def test_a_retry_is_charged_once(live: Live) -> None:
    before = live.balance()
    headers = {"idempotency-key": f"passed-{uuid.uuid4()}"}
    first, again = (
        live.call(PATH, None, "POST", json={"model": "passed"}, headers=headers) for _ in range(2)
    )
    assert (again.content, again.headers["idempotent-replayed"]) == (first.content, "true")
    assert before - live.balance() == CALL


def test_an_operator_opens_and_closes_a_channel(live: Live) -> None:
    channel = live.channel({"model": "opened-later", "upstream_model": "passed"}, price=False)
    price(live, "opened-later", per_call="0.003")
    path, token = f"/api/admin/channels/{channel['id']}", live.operator_token()
    assert channel["pass_through"] is False
    assert ask(live, model="opened-later").status_code == 404
    assert live.call(path, token, "PATCH", json={"pass_through": True}).json()["pass_through"] is True
    assert ask(live, model="opened-later").status_code == 200
    assert live.call(path, live.api_key, "PATCH", json={"pass_through": True}).status_code == 403
    live.call(path, token, "PATCH", json={"pass_through": False})
    assert ask(live, model="opened-later").status_code == 404
