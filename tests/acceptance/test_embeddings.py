"""POST /v1/embeddings: who may, what the client gets, what the books say."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx2
import openai
import pytest

from tests.support.live import Live, Tenant

INPUT = Decimal("0.5e-6")
PATH = "/v1/embeddings"


@pytest.fixture(scope="module", autouse=True)
def channel(live: Live) -> None:
    """The fake provider's embedding models."""
    names = [f"fake-embed{how}" for how in ("", "-no-usage", "-error", "-html", "-500", "-hollow")]
    live.channel(
        {"model": "embed-alias", "upstream_model": "fake-embed"}, *[{"model": name} for name in names]
    )
    live.channel({"model": "fake-embed-unpriced"}, price=False)


@pytest.fixture(scope="module")
def sdk(live: Live) -> Iterator[openai.OpenAI]:
    """The official client."""
    with openai.OpenAI(base_url=f"{live.url}/v1", api_key=live.api_key, max_retries=0) as client:
        yield client


def embed(
    live: Live, given: Any, key: str | None = None, model: str = "fake-embed", **fields: Any
) -> httpx2.Response:
    """Ask for embeddings."""
    headers = fields.pop("headers", {})
    return live.call(PATH, key, "POST", json={"model": model, "input": given, **fields}, headers=headers)


def refusal(response: httpx2.Response) -> tuple[int, str, str]:
    """Return status, code and type of an error in the OpenAI form."""
    error = response.json()["error"]
    assert error["trace_id"] == response.headers["x-trace-id"]
    return response.status_code, error["code"], error["type"]


def test_nobody_unknown_may_ask(live: Live) -> None:
    body = {"model": "fake-embed", "input": "hello"}
    assert refusal(live.http.post(PATH, json=body)) == (401, "unauthorized", "authentication_error")
    wrong = live.http.post(PATH, content=b"not json", headers={"authorization": "Bearer dsk_live_wrong"})
    assert wrong.status_code == 401  # the body is not looked at


def test_a_key_for_other_surfaces_or_models_is_refused(live: Live) -> None:
    _, for_chat = live.key(routes=["chat"])
    _, for_another = live.key(models=["fake-echo"])
    _, fitting = live.key(routes=["embeddings"], models=["fake-embed"])
    assert refusal(embed(live, "hello", for_chat)) == (403, "permission_denied", "permission_error")
    assert refusal(embed(live, "hello", for_another)) == (403, "permission_denied", "permission_error")
    assert embed(live, "hello", fitting).status_code == 200
    chat = live.chat("fake-echo", "hello", fitting)
    assert chat.status_code == 403


def test_the_answer_costs_exactly_what_leaves_the_wallet(live: Live) -> None:
    before = live.balance()
    response = embed(live, ["one two three", "four"])
    assert response.status_code == 200, response.text
    answer = response.json()
    assert [item["embedding"] for item in answer["data"]] == [[3.0, 3.0, 5.0, 0.0], [4.0, 0.0, 0.0, 0.0]]
    assert answer["usage"] == {"prompt_tokens": 4, "total_tokens": 4, "cost": "0.000002", "currency": "USD"}
    assert response.headers["x-cost"] == "0.000002"
    assert before - live.balance() == 4 * INPUT
    story = live.trace(response.headers["x-trace-id"])
    assert story["state"] == "captured"
    assert [entry["type"] for entry in story["transactions"]] == ["hold", "capture"]
    assert story["usage"]["source"] == "reported"
    assert Decimal(story["hold"]["amount"]) >= Decimal(story["cost"]) == 4 * INPUT


def test_the_providers_bytes_reach_the_client_with_nothing_but_the_cost_put_in(live: Live) -> None:
    response = embed(live, "fünf 词 😀", vendor_field={"a": [1, 2.50, None]}, user="someone")
    theirs = live.upstream.operations.asked[-1].sent
    assert response.content == theirs.replace(
        b'"total_tokens": 3\n }', b'"total_tokens": 3\n ,"cost":"0.0000015","currency":"USD"}'
    )
    assert b"\n" in theirs


def test_the_request_reaches_the_provider_with_its_own_name_of_the_model(live: Live) -> None:
    assert embed(live, "alias", model="embed-alias", vendor_field={"a": [1, 2.50, None]}).status_code == 200
    asked = live.upstream.operations.asked[-1]
    assert asked.raw == b'{"model":"fake-embed","input":"alias","vendor_field":{"a":[1,2.5,null]}}'
    assert asked.headers["authorization"] == f"Bearer {live.upstream.api_key}"
    assert live.api_key not in json.dumps(asked.headers)


def test_the_sdk_gets_vectors_in_both_encodings_and_from_tokens(live: Live, sdk: openai.OpenAI) -> None:
    for given, vector in (("ab abc", [2.0, 3.0]), ([7, 8, 9], [7.0, 8.0]), ([[1, 2], [3]], [1.0, 2.0])):
        packed = sdk.embeddings.create(
            model="fake-embed", input=given, dimensions=2
        )  # base64, unpacked by the SDK
        plain = sdk.embeddings.create(model="fake-embed", input=given, dimensions=2, encoding_format="float")
        assert packed.data[0].embedding == plain.data[0].embedding == vector
        assert Decimal(packed.usage.cost) == packed.usage.prompt_tokens * INPUT
    assert live.upstream.operations.asked[-2].body["encoding_format"] == "base64"
    with pytest.raises(openai.NotFoundError) as caught:
        sdk.embeddings.create(model="there-is-none", input="hello")
    assert caught.value.code == "model_not_found"


async def test_the_async_sdk_embeds(live: Live) -> None:
    async with openai.AsyncOpenAI(base_url=f"{live.url}/v1", api_key=live.api_key, max_retries=0) as client:
        answer = await client.embeddings.create(model="fake-embed", input=["one", "two"])
    assert [item.index for item in answer.data] == [0, 1]


def test_without_usage_the_tokens_are_counted_and_marked_as_estimated(live: Live) -> None:
    before = live.balance()
    response = embed(live, ["four letters each", "词词"], model="fake-embed-no-usage")
    usage = response.json()["usage"]
    assert (usage["prompt_tokens"], usage["estimated"]) == (5 + 2, True)
    assert Decimal(usage["cost"]) == 7 * INPUT == before - live.balance()
    assert live.trace(response.headers["x-trace-id"])["usage"]["source"] == "estimated"
    assert embed(live, [[1, 2, 3], [4]], model="fake-embed-no-usage").json()["usage"]["prompt_tokens"] == 4


@pytest.mark.parametrize(
    "given", [[], 7, None, [1.5], [[None]], {"text": "hello"}, [True]], ids=lambda given: json.dumps(given)
)
def test_what_is_no_input_is_refused_with_the_field_at_fault(live: Live, given: Any) -> None:
    response = embed(live, given)
    assert refusal(response)[:2] == (400, "invalid_request")
    assert response.json()["error"]["param"] == "input"


def test_wrong_bodies_and_methods_are_refused(live: Live) -> None:
    nonsense = live.call(PATH, None, "POST", content=b'{"model":')
    assert refusal(nonsense) == (400, "invalid_json", "invalid_request_error")
    assert refusal(live.call(PATH, None, "POST", json={"input": "hello"}))[1] == "invalid_request"
    assert live.call(PATH).status_code == 405
    large = live.call(PATH, None, "POST", content=b"[" * (1024 * 1024 + 1))
    assert refusal(large)[:2] == (413, "body_too_large")


def test_a_model_without_a_price_or_a_channel_is_refused_and_nothing_is_sent(live: Live) -> None:
    sent = len(live.upstream.operations.asked)
    assert refusal(embed(live, "hello", model="fake-embed-unpriced")) == (
        409,
        "price_missing",
        "conflict_error",
    )
    assert refusal(embed(live, "hello", model="there-is-none"))[:2] == (404, "model_not_found")
    assert len(live.upstream.operations.asked) == sent


def test_without_funds_nothing_is_sent_and_nothing_held(live: Live) -> None:
    poor = live.tenant("0.0000001")
    sent = len(live.upstream.operations.asked)
    assert refusal(embed(live, "hello", poor.api_key)) == (402, "insufficient_funds", "insufficient_quota")
    assert len(live.upstream.operations.asked) == sent
    assert live.wallet(poor.organization_id, poor.token)["frozen"] == "0"


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("error", (502, "upstream_error")),
        ("html", (502, "upstream_error")),
        ("hollow", (502, "upstream_error")),
        ("500", (503, "upstream_unavailable")),
    ],
)
def test_a_provider_that_gives_no_embeddings_is_not_paid(
    live: Live, how: str, expected: tuple[int, str]
) -> None:
    before = live.balance()
    response = embed(live, "hello", model=f"fake-embed-{how}")
    assert refusal(response)[:2] == expected
    assert live.balance() == before
    assert live.trace(response.headers["x-trace-id"])["state"] == "released"


def test_a_channel_in_the_anthropic_dialect_has_no_such_address(live: Live) -> None:
    live.channel({"model": "embed-at-anthropic"}, kind="anthropic")
    response = embed(live, "hello", model="embed-at-anthropic")
    assert refusal(response)[:2] == (404, "model_not_found")


def test_a_retry_under_its_key_gets_the_same_bytes_and_is_charged_once(live: Live) -> None:
    before = live.balance()
    headers = {"idempotency-key": f"embed-{uuid.uuid4()}"}
    first = embed(live, "once only", headers=headers)
    again = embed(live, "once only", headers=headers)
    assert again.content == first.content
    assert again.headers["idempotent-replayed"] == "true"
    assert before - live.balance() == 2 * INPUT
    other = embed(live, "something else", headers=headers)
    assert refusal(other)[:2] == (422, "reference_reused")


def test_limits_count_embeddings_with_their_tokens(live: Live) -> None:
    tenant = live.tenant()
    limit(live, tenant, tpm=10)
    first = embed(live, "one two three", tenant.api_key)
    assert first.status_code == 200
    assert "ratelimit" in first.headers
    response = embed(live, "word " * 30, tenant.api_key)
    assert refusal(response) == (429, "rate_limited", "rate_limit_error")
    assert int(response.headers["retry-after"]) >= 1


def limit(live: Live, tenant: Tenant, **fields: int) -> None:
    """Limit an organisation."""
    path = f"/api/organizations/{tenant.organization_id}/rate-limits"
    made = live.call(path, tenant.token, "PUT", json={"subject": "organization", **fields})
    assert made.status_code == 200, made.text
    time.sleep(1.05)  # until every process has seen it
