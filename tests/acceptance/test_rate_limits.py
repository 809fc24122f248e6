"""Rate limits through HTTP: exact over two gateways, told in headers, permits that come back."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from deepspace.upstream.wire import estimate_tokens
from tests.chaos.site import Call, Try, session, try_once
from tests.support.gateways import Another, another
from tests.support.live import Live, Tenant, as_
from tests.support.streams import eventually
from tests.support.valkey import Valkey, valkey

RACERS = 200
LEASE_S = 2


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """A Valkey that stays up."""
    with valkey(tmp_path_factory.mktemp("valkey")) as running:
        yield running


@pytest.fixture(scope="module")
def pair(
    live: Live, server: Valkey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Another, Another]]:
    """Two gateways that share it. The time-out is long: the machine of a test may be slow."""
    directory = tmp_path_factory.mktemp("pair")
    shared = {"REDIS_URL": server.url, "LIMITS_TIMEOUT_MS": "5000", "LIMITS_LEASE_S": str(LEASE_S)}
    with another(live, directory / "a", **shared) as a, another(live, directory / "b", **shared) as b:
        yield a, b


@pytest.fixture
def tenant(live: Live) -> Tenant:
    """An organisation of a test's own."""
    return live.tenant(balance="5")


def limit(live: Live, tenant: Tenant, subject: str, **fields: Any) -> dict[str, Any]:
    """Set a limit, and wait until every process has seen it."""
    path = f"/api/organizations/{tenant.organization_id}/rate-limits"
    answer = live.call(path, tenant.token, "PUT", json={"subject": subject, **fields})
    assert answer.status_code == 200, answer.text
    time.sleep(1.05)
    return answer.json()


def race(pair: tuple[Another, Another], tenant: Tenant, call: Call) -> tuple[list[Try], float]:
    """Make a call RACERS times at once, half of them at each gateway; return what came, and the seconds."""

    async def run() -> list[Try]:
        async with session(RACERS, timeout_s=60) as http:
            urls = [pair[number % 2].url for number in range(RACERS)]
            return await asyncio.gather(*(try_once(http, url, tenant.api_key, call) for url in urls))

    start = time.monotonic()
    answers = asyncio.run(run())
    seconds = time.monotonic() - start
    others = [one for one in answers if one.outcome != "answered" and one.code != "rate_limited"]
    assert others == []
    return answers, seconds


def answered(answers: list[Try]) -> int:
    """How many were let in."""
    return sum(one.outcome == "answered" for one in answers)


@pytest.mark.parametrize("subject", ["api_key", "user", "project", "organization", "model"])
def test_two_hundred_racers_over_two_gateways_get_exactly_the_requests_a_minute(
    live: Live, pair: tuple[Another, Another], tenant: Tenant, subject: str
) -> None:
    rpm = 6
    limit(live, tenant, subject, rpm=rpm)
    answers, seconds = race(pair, tenant, Call("fake-echo", "a b c d", False, None))
    assert rpm <= answered(answers) <= rpm + int(seconds * rpm / 60)
    entries = live.call(
        f"/api/organizations/{tenant.organization_id}/transactions?limit=200", tenant.token
    ).json()
    captured = [entry for entry in entries["items"] if entry["type"] == "capture"]
    assert len(captured) == answered(answers), "a refused call touched the books"


def test_two_hundred_racers_over_two_gateways_get_exactly_the_tokens_a_minute(
    live: Live, pair: tuple[Another, Another], tenant: Tenant
) -> None:
    call = Call(
        "fake-slow", "word " * 100, True, None, max_tokens=150
    )  # five seconds: none ends before all ask
    charge = estimate_tokens(json.dumps(call.body)) + call.max_tokens
    limit(live, tenant, "organization", tpm=4 * charge + charge // 4)
    answers, seconds = race(pair, tenant, call)
    assert 4 <= answered(answers) <= 4 + int(0.25 + seconds * 4.25 / 60)


def test_two_hundred_racers_over_two_gateways_get_exactly_the_parallel_calls(
    live: Live, pair: tuple[Another, Another], tenant: Tenant
) -> None:
    limit(live, tenant, "organization", parallel=5)
    answers, _ = race(pair, tenant, Call("fake-slow", "word " * 100, True, None, max_tokens=150))
    assert answered(answers) == 5
    for gateway in pair:  # and all five came back
        assert gateway.chat(tenant.api_key).status_code == 200


def test_tokens_are_charged_by_what_was_used_once_a_call_has_settled(live: Live, tenant: Tenant) -> None:
    """Each call is estimated at some 40 tokens of output and uses four."""
    limit(live, tenant, "organization", tpm=200)
    for _ in range(8):
        answer = live.chat("fake-echo", "a b c d", tenant.api_key, max_tokens=40)
        assert answer.status_code == 200, answer.text
    assert int(answer.headers["x-ratelimit-remaining-tokens"]) > 40


def test_an_answer_and_a_refusal_tell_how_the_limits_stand(live: Live, tenant: Tenant) -> None:
    limit(live, tenant, "organization", rpm=2, tpm=100_000, parallel=3)
    limit(live, tenant, "api_key", rpm=50)
    good = live.chat("fake-echo", "a b c d", tenant.api_key, max_tokens=10)
    assert good.status_code == 200
    policy, state = good.headers["ratelimit-policy"], good.headers["ratelimit"]
    assert policy.split(", ") == [
        '"organization-requests";q=2;w=60',
        '"organization-tokens";q=100000;qu="tokens";w=60',
        '"organization-parallel";q=3;qu="concurrent-requests"',
    ]
    assert state.startswith('"organization-requests";r=1;t=30, "organization-tokens";r=9')
    assert state.endswith('"organization-parallel";r=2')
    assert good.headers["x-ratelimit-limit-requests"] == "2"
    assert good.headers["x-ratelimit-remaining-requests"] == "1"
    assert good.headers["x-ratelimit-reset-requests"] == "30s"
    assert good.headers["x-ratelimit-limit-tokens"] == "100000"
    stream = live.chat("fake-echo", "a b c d", tenant.api_key, max_tokens=10, stream=True)
    assert stream.headers["x-ratelimit-remaining-requests"] == "0"
    refused = live.chat("fake-echo", "a b c d", tenant.api_key, max_tokens=10)
    error = refused.json()["error"]
    assert (refused.status_code, error["code"], error["type"]) == (429, "rate_limited", "rate_limit_error")
    assert "2 requests a minute for this organisation" in error["message"]
    assert 25 <= int(refused.headers["retry-after"]) <= 30
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"
    assert refused.headers["ratelimit"].startswith('"organization-requests";r=0;t=')
    path = f"/api/traces/{refused.headers['x-trace-id']}"
    story = eventually(lambda: (answer := live.call(path, tenant.token)).status_code == 200 and answer.json())
    assert story["timeline"][-1]["event"] == "rate_limit.refused"
    unlimited = live.chat("fake-echo", "a b c d", live.api_key, max_tokens=10)
    assert not [name for name in unlimited.headers if "ratelimit" in name]


def test_a_refusal_of_a_later_step_tells_the_limits_too_and_frees_the_permit(
    live: Live, tenant: Tenant
) -> None:
    limit(live, tenant, "organization", parallel=1, tpm=10_000)
    for _ in range(3):
        refused = live.chat("fake-unpriced", "a b c d", tenant.api_key, max_tokens=10)
        assert refused.json()["error"]["code"] == "price_missing"
        assert refused.headers["ratelimit"].endswith('"organization-parallel";r=0')


def test_a_named_limit_takes_the_place_of_the_default_and_operators_bind_everybody(
    live: Live, tenant: Tenant
) -> None:
    limit(live, tenant, "model", rpm=1)
    limit(live, tenant, "model", model="fake-echo", rpm=3)
    for expected in (200, 200, 200, 429):
        assert live.chat("fake-echo", "a", tenant.api_key, max_tokens=5).status_code == expected
    for expected in (200, 429):
        assert live.chat("fake-cached", "a", tenant.api_key, max_tokens=5).status_code == expected
    body = {"subject": "api_key", "subject_id": live.key(tenant)[0], "rpm": 1}
    key_id, key = live.key(tenant)
    body["subject_id"] = key_id
    made = live.call("/api/admin/rate-limits", live.operator_token(), "PUT", json=body).json()
    assert made["organization_id"] is None
    limit(live, tenant, "api_key", subject_id=key_id, rpm=1000)  # wider: it does not help
    assert live.chat("fake-no-usage", "a", key, max_tokens=5).status_code == 200
    refused = live.chat("fake-bad-utf8", "a", key, max_tokens=5)
    assert "1 requests a minute for this API key, set by the platform's operators" in refused.text
    gone = live.call(f"/api/admin/rate-limits/{made['id']}", live.operator_token(), "DELETE")
    assert gone.status_code == 204


# permits come back


def one_at_a_time(live: Live, tenant: Tenant) -> None:
    """Limit an organisation to one call at a time."""
    limit(live, tenant, "organization", parallel=1)


def test_a_permit_is_free_as_soon_as_the_answer_is_complete(
    live: Live, pair: tuple[Another, Another], tenant: Tenant
) -> None:
    one_at_a_time(live, tenant)
    for number in range(10):
        answer = pair[number % 2].chat(tenant.api_key, stream=number % 3 == 0)
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("model", ["fake-500", "fake-reset-mid", "fake-error-event", "fake-hang"])
def test_a_permit_comes_back_after_an_error_of_the_provider(
    live: Live, pair: tuple[Another, Another], tenant: Tenant, model: str
) -> None:
    one_at_a_time(live, tenant)
    assert "error" in pair[0].chat(tenant.api_key, model, stream=True).text
    assert pair[1].chat(tenant.api_key).status_code == 200


def test_a_permit_comes_back_once_the_call_of_a_client_that_left_has_settled(
    live: Live, pair: tuple[Another, Another], tenant: Tenant
) -> None:
    one_at_a_time(live, tenant)
    body = {"model": "fake-slow", "messages": [{"role": "user", "content": "w " * 20}], "stream": True}
    with httpx2.stream(
        "POST", f"{pair[0].url}/v1/chat/completions", json=body, headers=as_(tenant.api_key), trust_env=False
    ) as leaving:
        next(leaving.iter_raw())
    assert pair[1].chat(tenant.api_key).status_code == 429  # it is read to its end, and paid for
    eventually(lambda: pair[1].chat(tenant.api_key).status_code == 200)


def test_the_permits_of_a_killed_gateway_run_out_with_their_lease_and_long_calls_keep_theirs(
    live: Live, server: Valkey, pair: tuple[Another, Another], tenant: Tenant, tmp_path: Path
) -> None:
    limit(live, tenant, "organization", parallel=2)
    shared = {"REDIS_URL": server.url, "LIMITS_TIMEOUT_MS": "5000", "LIMITS_LEASE_S": str(LEASE_S)}
    body = {"model": "fake-slow", "messages": [{"role": "user", "content": "w " * 160}], "stream": True}
    options: dict[str, Any] = {
        "json": body,
        "headers": as_(tenant.api_key),
        "trust_env": False,
        "timeout": 20,
    }
    with another(live, tmp_path / "dying", **shared) as dying:
        start = time.monotonic()
        with (
            httpx2.stream("POST", f"{pair[0].url}/v1/chat/completions", **options) as long,
            httpx2.stream("POST", f"{dying.url}/v1/chat/completions", **options) as cut,
        ):
            assert (long.status_code, cut.status_code) == (200, 200)
            assert pair[1].chat(tenant.api_key).status_code == 429
            dying.process.kill()
            eventually(lambda: pair[1].chat(tenant.api_key).status_code == 200, within_s=LEASE_S + 3)
            time.sleep(max(0.0, LEASE_S + 1 - (time.monotonic() - start)))
            # The long call runs on for longer than a lease, and still holds its permit beside another's.
            with httpx2.stream("POST", f"{pair[1].url}/v1/chat/completions", **options) as second:
                assert second.status_code == 200
                assert pair[1].chat(tenant.api_key).status_code == 429


# Redis goes away


def test_without_redis_each_process_counts_for_itself_by_name_and_it_is_logged_and_counted(
    live: Live, tenant: Tenant, tmp_path: Path
) -> None:
    limit(live, tenant, "organization", rpm=3, parallel=2)
    with valkey(tmp_path) as server, another(live, tmp_path / "a", REDIS_URL=server.url) as gateway:
        assert [gateway.chat(tenant.api_key).status_code for _ in range(4)] == [200, 200, 200, 429]
        assert gateway.decisions() == {("redis", "admitted"): 3, ("redis", "refused"): 1}
        server.kill()
        assert [gateway.chat(tenant.api_key).status_code for _ in range(4)] == [200, 200, 200, 429]
        assert gateway.decisions()["fallback", "admitted"] == 3
        assert gateway.decisions()["fallback", "refused"] == 1
        server.start()
        time.sleep(1.1)
        assert gateway.chat(tenant.api_key).status_code == 200
        assert gateway.decisions()["redis", "admitted"] == 4
        server.pause()  # silent is as bad as gone, and costs a call little time
        start = time.monotonic()
        gateway.chat(tenant.api_key)
        assert time.monotonic() - start < 2
        server.resume()
        text = gateway.log.read_text()
        assert text.count("Redis is unavailable for rate limits") == 2
        assert '"decision": "local"' in text
        assert text.count("Redis is back") == 1
    wallet = live.wallet(tenant.organization_id, tenant.token)
    assert wallet["frozen"] == "0"


def test_without_redis_calls_with_a_limit_are_refused_if_the_setting_says_so(
    live: Live, tenant: Tenant, tmp_path: Path
) -> None:
    limit(live, tenant, "organization", rpm=30)
    settings = {"LIMITS_WHEN_UNAVAILABLE": "refuse"}
    with (
        valkey(tmp_path) as server,
        another(live, tmp_path / "a", REDIS_URL=server.url, **settings) as gateway,
    ):
        assert gateway.chat(tenant.api_key).status_code == 200
        server.kill()
        refused = gateway.chat(tenant.api_key)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "limits_unavailable")
        assert refused.headers["retry-after"] == "1"
        assert gateway.chat(live.api_key).status_code == 200  # no limit applies: Redis is not asked
        assert gateway.decisions()["none", "unavailable"] == 1
        server.start()
        eventually(lambda: gateway.chat(tenant.api_key).status_code == 200)
