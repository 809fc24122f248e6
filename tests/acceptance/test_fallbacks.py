"""Models that stand in for others: who answers, at whose price, and what it may cost."""

from __future__ import annotations

import time
import uuid
from decimal import Decimal
from typing import Any

import pytest

from tests.support.live import Live, Tenant

FALLBACKS = "/api/admin/model-fallbacks"
CHEAP, DEAR = {"input": "1", "output": "2"}, {"input": "100", "output": "200"}


@pytest.fixture(scope="module")
def tenant(live: Live) -> Tenant:
    """An organisation of the module's own."""
    return live.tenant(balance="5")


def model(live: Live, behaviour: str, rates: dict[str, str] | None = None, **fields: Any) -> str:
    """Serve a model of its own that behaves so, at a price of its own; return its name."""
    name = f"{behaviour.removeprefix('fake-')}/{uuid.uuid4().hex[:8]}"
    served = {"model": name, "upstream_model": behaviour, "max_output_tokens": 100}
    live.channel(served, price=False, **fields)
    if rates is not None:
        body = {"model": name, "per_million": rates}
        made = live.call("/api/admin/prices", live.operator_token(), "POST", json=body)
        assert made.status_code == 201, made.text
    return name


def chain(live: Live, name: str, **body: list[str]) -> Any:
    """Set what stands in for a model, as the operator."""
    answer = live.call(f"{FALLBACKS}/{name}", live.operator_token(), "PUT", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_fallbacks_are_for_operators_are_listed_and_leave_an_audit_row(live: Live, tenant: Tenant) -> None:
    path = f"{FALLBACKS}/some/model"
    for method in ("PUT", "DELETE"):
        assert live.http.request(method, path, json={}).status_code == 401
        for credential in (tenant.token, tenant.api_key, live.api_key):
            assert live.call(path, credential, method, json={}).status_code == 403
    operator = live.operator_token()
    assert live.call(path, operator, "DELETE").status_code == 404
    set_ = chain(live, "some/model", if_unavailable=["b", "some/model", "c"], if_too_long=["big"])
    assert (set_["if_unavailable"], set_["if_too_long"]) == (["b", "c"], ["big"])
    listed = live.call(FALLBACKS, operator).json()["items"]
    assert set_ in listed
    twice = live.call(path, operator, "PUT", json={"if_unavailable": ["b", "b"]})
    assert twice.status_code == 422
    assert live.call(path, operator, "DELETE").status_code == 204


@pytest.mark.parametrize("stream", [False, True])
def test_when_no_channel_answers_the_next_model_does_at_its_own_price(
    live: Live, tenant: Tenant, stream: bool
) -> None:
    first, second = model(live, "fake-500", CHEAP), model(live, "fake-529", CHEAP)
    third = model(live, "fake-echo", DEAR)
    chain(live, first, if_unavailable=[second, third])
    before = live.balance(tenant.organization_id, tenant.api_key)
    answer = live.chat(first, "one two three", tenant.api_key, max_tokens=50, stream=stream)
    assert answer.status_code == 200, answer.text
    assert "three" in answer.text
    assert answer.headers["x-deepspace-model"] == third
    story = live.trace(answer.headers["x-trace-id"], tenant.api_key)
    assert [attempt["model"] for attempt in story["attempts"]][-1] == third
    assert {attempt["model"] for attempt in story["attempts"]} == {first, second, third}
    turned = [event for event in story["timeline"] if event["event"] == "upstream.fell_back"]
    assert [event["detail"]["model"] for event in turned] == [second, third]
    assert story["price"]["per_million"] == DEAR
    cost = before - live.balance(tenant.organization_id, tenant.api_key)
    asked, told = story["usage"]["input_tokens"], story["usage"]["output_tokens"]
    assert cost == (asked * Decimal(DEAR["input"]) + told * Decimal(DEAR["output"])) / 1_000_000
    assert Decimal(story["hold"]["amount"]) >= cost
    [record] = live.call(f"/api/organizations/{tenant.organization_id}/usage?limit=1", tenant.api_key).json()[
        "items"
    ]
    assert record["model"] == third


def test_a_request_too_long_for_a_model_goes_to_a_larger_one_and_only_then(
    live: Live, tenant: Tenant
) -> None:
    small, large = model(live, "fake-too-long", CHEAP), model(live, "fake-echo", DEAR)
    assert live.chat(small, "long", tenant.api_key).status_code == 400
    chain(live, small, if_unavailable=[large])
    assert live.chat(small, "long", tenant.api_key).status_code == 400
    chain(live, small, if_too_long=[large])
    answer = live.chat(small, "long", tenant.api_key)
    assert answer.status_code == 200
    assert answer.headers["x-deepspace-model"] == large
    broken = model(live, "fake-500", CHEAP)
    chain(live, broken, if_too_long=[large])
    assert live.chat(broken, "short", tenant.api_key).status_code == 503


def test_a_model_that_answers_costs_no_more_for_having_fallbacks(live: Live, tenant: Tenant) -> None:
    well, dear = model(live, "fake-echo", CHEAP), model(live, "fake-echo", DEAR)
    chain(live, well, if_unavailable=[dear])
    answer = live.chat(well, "one", tenant.api_key, max_tokens=10)
    assert answer.status_code == 200
    assert "x-deepspace-model" not in answer.headers
    assert live.trace(answer.headers["x-trace-id"], tenant.api_key)["price"]["per_million"] == CHEAP


def test_who_can_pay_the_model_but_not_its_fallback_is_served_without_the_fallback(live: Live) -> None:
    poor = live.tenant(balance="0.005")
    well, broken = model(live, "fake-echo", CHEAP), model(live, "fake-500", CHEAP)
    dear = model(live, "fake-echo", {"input": "1000000", "output": "1000000"})
    for name, status in ((well, 200), (broken, 503)):
        chain(live, name, if_unavailable=[dear])
        answer = live.chat(name, "one", poor.api_key, max_tokens=10)
        assert answer.status_code == status, answer.text
        assert "x-deepspace-model" not in answer.headers


def test_what_the_caller_may_not_use_or_has_no_price_does_not_stand_in(live: Live, tenant: Tenant) -> None:
    broken, forbidden = model(live, "fake-500", CHEAP), model(live, "fake-echo", CHEAP)
    unpriced = model(live, "fake-echo")
    chain(live, broken, if_unavailable=["nobody/serves-this", unpriced, forbidden])
    _, narrow = live.key(tenant, models=[broken])
    assert live.chat(broken, "one", narrow).status_code == 503
    assert live.chat(broken, "one", tenant.api_key).headers["x-deepspace-model"] == forbidden


def test_a_model_whose_breaker_is_open_is_not_asked_while_its_fallback_is_well(
    live: Live, tenant: Tenant
) -> None:
    broken, well = model(live, "fake-500", CHEAP), model(live, "fake-echo", CHEAP)
    chain(live, broken, if_unavailable=[well])
    for _ in range(3):
        assert live.chat(broken, "one", tenant.api_key).status_code == 200
    answer = live.chat(broken, "one", tenant.api_key)
    assert answer.status_code == 200
    story = live.trace(answer.headers["x-trace-id"], tenant.api_key)
    assert [attempt["model"] for attempt in story["attempts"]] == [well]


def test_the_catalogue_shows_what_stands_in(live: Live, tenant: Tenant) -> None:
    name, other = model(live, "fake-echo", CHEAP), model(live, "fake-echo", CHEAP)
    chain(live, name, if_unavailable=[other])
    shown: Any = None
    for _ in range(100):
        shown = live.call(f"/v1/models/{name}", tenant.api_key).json()
        if shown["fallbacks"] == {"if_unavailable": [other], "if_too_long": []}:
            return
        time.sleep(0.02)
    raise AssertionError(shown)
