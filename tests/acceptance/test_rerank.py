"""POST /v1/rerank and /v1/moderations."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from decimal import Decimal

import openai
import pytest

from tests.support.live import Live
from tests.support.operations import price, priced, refusal, refused_in_turn

INPUT = Decimal("0.5e-6")
PATH = "/v1/rerank"
QUERY = {"query": "warm sea", "documents": ["a cold sea", {"text": "a warm sea"}, "a hill"]}


@pytest.fixture(scope="module", autouse=True)
def channel(live: Live) -> None:
    """The fake provider's rankers and moderators."""
    live.channel(*[{"model": f"fake-rank{how}"} for how in ("", "-no-usage", "-error")])
    live.channel({"model": "fake-rank-unpriced"}, {"model": "fake-mod-unpriced"}, price=False)
    live.channel(
        {"model": "fake-mod"}, {"model": "omni-moderation-latest", "upstream_model": "fake-mod"}, price=False
    )
    for name in ("fake-mod", "omni-moderation-latest"):
        price(live, name, per_million={"input": "0.5"}, per_call="0.000001")


@pytest.fixture(scope="module")
def sdk(live: Live) -> Iterator[openai.OpenAI]:
    """The official client."""
    with openai.OpenAI(base_url=f"{live.url}/v1", api_key=live.api_key, max_retries=0) as client:
        yield client


def test_who_may_not_rank_is_refused_before_anything_is_sent(live: Live) -> None:
    refused_in_turn(live, PATH, "rerank", ("fake-rank-unpriced", "fake-rank"), json=QUERY)


def test_documents_are_ranked_and_what_it_costs_leaves_the_wallet(live: Live) -> None:
    before = live.balance()
    body = {"model": "fake-rank", **QUERY, "top_n": 2, "return_documents": True}
    response = live.call(PATH, None, "POST", json=body)
    assert response.status_code == 200, response.text
    answer = response.json()
    assert [result["index"] for result in answer["results"]] == [1, 0]
    assert answer["results"][0]["document"] == {"text": "a warm sea"}
    # The query is read with each document: 3 × 2 words, and 8 of the documents.
    assert answer["usage"] == {"total_tokens": 14, "cost": "0.000007", "currency": "USD"}
    assert before - live.balance() == 14 * INPUT == Decimal(response.headers["x-cost"])
    assert live.upstream.operations.asked[-1].body == body
    theirs = live.upstream.operations.asked[-1].sent
    assert response.content == theirs.replace(b"14\n }", b'14\n ,"cost":"0.000007","currency":"USD"}')
    story = live.trace(response.headers["x-trace-id"])
    assert Decimal(story["hold"]["amount"]) >= Decimal(story["cost"])


def test_without_usage_the_query_is_counted_with_each_document(live: Live) -> None:
    body = {"model": "fake-rank-no-usage", "query": "four", "documents": ["eight ch", "four"]}
    usage = live.call(PATH, None, "POST", json=body).json()["usage"]
    assert (usage["prompt_tokens"], usage["estimated"]) == (1 + 2 + 1 + 1, True)
    assert Decimal(usage["cost"]) == 5 * INPUT


def test_a_ranker_in_trouble_is_not_paid_and_a_retry_is_paid_once(live: Live) -> None:
    before = live.balance()
    failed = live.call(PATH, None, "POST", json={"model": "fake-rank-error", **QUERY})
    assert refusal(failed)[:2] == (502, "upstream_error")
    assert live.balance() == before
    headers = {"idempotency-key": f"rank-{uuid.uuid4()}"}
    first, again = (
        live.call(PATH, None, "POST", json={"model": "fake-rank", **QUERY}, headers=headers) for _ in range(2)
    )
    assert (again.content, again.headers["idempotent-replayed"]) == (first.content, "true")
    assert before - live.balance() == 14 * INPUT


@pytest.mark.parametrize(
    "wrong", [{"documents": []}, {"documents": "a"}, {"query": None}, {"documents": [1]}]
)
def test_what_is_nothing_to_rank_is_refused(live: Live, wrong: dict[str, object]) -> None:
    response = live.call(PATH, None, "POST", json={"model": "fake-rank", **QUERY, **wrong})
    assert refusal(response)[:2] == (400, "invalid_request")
    assert response.json()["error"]["param"] == next(iter(wrong))


def test_who_may_not_moderate_is_refused_before_anything_is_sent(live: Live) -> None:
    body = {"input": "a bad word"}
    refused_in_turn(live, "/v1/moderations", "moderations", ("fake-mod-unpriced", "fake-mod"), json=body)


def test_the_sdk_moderates_with_a_model_or_the_default_one(live: Live, sdk: openai.OpenAI) -> None:
    before = live.balance()
    answer = sdk.moderations.create(model="fake-mod", input=["a bad word", "a good one"])
    assert [result.flagged for result in answer.results] == [True, False]
    # Nobody states usage here: 10 characters are 3 tokens, twice; and the price of the call.
    assert before - live.balance() == 6 * INPUT + Decimal("0.000001")
    assert not sdk.moderations.create(input="fine").results[0].flagged
    assert live.upstream.operations.asked[-1].body == {"input": "fine", "model": "fake-mod"}


def test_a_model_served_free_of_charge_costs_nothing(live: Live) -> None:
    priced(live, "mod-free", "fake-mod", per_million={})
    before = live.balance()
    answer = live.call("/v1/moderations", None, "POST", json={"model": "mod-free", "input": "hello"})
    assert (answer.status_code, answer.headers["x-cost"]) == (200, "0")
    assert live.balance() == before
