"""Both limiters: the same decisions as a plain model, all buckets or none, permits that come back."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deepspace.policy.limiter import PARALLEL_WAIT_MS, Bucket, LimiterUnavailable, Reading
from deepspace.policy.local_limiter import LocalLimiter
from deepspace.policy.redis_limiter import RedisLimiter
from deepspace.testing.clock import FrozenClock
from tests.support.valkey import Valkey, valkey

ORG = uuid.uuid4()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """A Valkey."""
    with valkey(tmp_path_factory.mktemp("valkey")) as running:
        yield running


@pytest.fixture
async def shared(server: Valkey) -> AsyncIterator[RedisLimiter]:
    """A limiter on it; no lease ends before the test does."""
    limiter = RedisLimiter(server.url, timeout_s=5, lease_s=3600)
    yield limiter
    await limiter.close()


@pytest.fixture(params=["local", "redis"])
async def limiter(request: pytest.FixtureRequest, server: Valkey) -> AsyncIterator[Any]:
    """Each limiter, on the real time."""
    if request.param == "local":
        yield LocalLimiter(FrozenClock())
    else:
        found = RedisLimiter(server.url, timeout_s=5, lease_s=30)
        yield found
        await found.close()


def fits(readings: Any) -> bool:
    """Whether a decision admitted."""
    return not any(reading.wait_ms for reading in readings)


async def test_a_refused_call_takes_nothing_of_any_bucket(limiter: Any) -> None:
    org = uuid.uuid4()
    wide, narrow = Bucket("wide", "requests", 5), Bucket("narrow", "requests", 1)
    crowd = Bucket("crowd", "parallel", 3)
    assert fits(await limiter.take(org, "a", [wide, crowd, narrow]))
    for permit in "bcd":
        refused = await limiter.take(org, permit, [wide, crowd, narrow])
        assert [reading.wait_ms > 0 for reading in refused] == [False, False, True]
        assert [reading.remaining for reading in refused] == [4, 2, 0]
    for permit in "efgh":
        assert fits(await limiter.take(org, permit, [wide]))
    assert not fits(await limiter.take(org, "i", [wide]))


async def test_two_hundred_racers_get_exactly_as_many_as_the_limit_says(limiter: Any) -> None:
    org = uuid.uuid4()
    for bucket, admitted in (
        (Bucket("r", "requests", 7), 7),
        (Bucket("t", "tokens", 10, cost=2), 5),
        (Bucket("p", "parallel", 9), 9),
    ):
        answers = await asyncio.gather(*(limiter.take(org, f"{n}", [bucket]) for n in range(200)))
        assert sum(map(fits, answers)) == admitted


async def test_a_permit_comes_back_once_and_to_its_own_organisation(limiter: Any) -> None:
    org, other = uuid.uuid4(), uuid.uuid4()
    crowd = [Bucket("crowd", "parallel", 1)]
    assert fits(await limiter.take(org, "a", crowd))
    assert fits(await limiter.take(other, "a", crowd))
    refused = await limiter.take(org, "b", crowd)
    assert refused == [Reading(PARALLEL_WAIT_MS, 0, 0)]
    for permit in ("b", "a", "a"):  # one that was never had, and one given back twice
        await limiter.give_back(org, permit, crowd, 0)
    assert fits(await limiter.take(org, "c", crowd))
    assert not fits(await limiter.take(org, "d", crowd))
    assert not fits(await limiter.take(other, "b", crowd))


async def test_tokens_are_corrected_to_what_was_used(limiter: Any) -> None:
    org = uuid.uuid4()
    bucket = Bucket("tokens", "tokens", 1000, cost=1000)
    assert fits(await limiter.take(org, "a", [bucket]))
    assert not fits(await limiter.take(org, "b", [Bucket("tokens", "tokens", 1000, cost=500)]))
    await limiter.give_back(org, "a", [bucket], 100)
    [reading] = await limiter.take(org, "c", [Bucket("tokens", "tokens", 1000, cost=100)])
    assert 800 <= reading.remaining <= 820
    await limiter.give_back(org, "c", [Bucket("tokens", "tokens", 1000, cost=100)], 3000)  # a debt
    [reading] = await limiter.take(org, "d", [Bucket("tokens", "tokens", 1000, cost=1)])
    assert 120_000 <= reading.wait_ms <= 126_060


steps = st.lists(
    st.tuples(
        st.sampled_from(["take", "back"]),
        st.integers(0, 30_000),
        st.integers(1, 4000),
        st.integers(0, 9000),
    ),
    min_size=1,
    max_size=25,
)
numbers = itertools.count()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 10_000), st.integers(1, 5000), st.integers(1, 3), steps)
async def test_redis_decides_as_the_process_does(
    shared: RedisLimiter, rpm: int, tpm: int, parallel: int, history: list[tuple[str, int, int, int]]
) -> None:
    """The same readings, number by number, for any history."""
    org, clock = uuid.uuid4(), FrozenClock()
    local, wall_ms = LocalLimiter(clock), 1_800_000_000_000 + next(numbers) * 10**7
    under_way: list[tuple[str, list[Bucket]]] = []
    for number, (act, gap_ms, cost, actual) in enumerate(history):
        clock.advance(timedelta(milliseconds=gap_ms))
        now_ms = wall_ms + clock.monotonic_ns() // 1_000_000
        if act == "take":
            buckets = [
                Bucket("r", "requests", rpm),
                Bucket("t", "tokens", tpm, cost),
                Bucket("p", "parallel", parallel),
            ]
            permit = f"{number}"
            here = await local.take(org, permit, buckets)
            there = await shared.take(org, permit, buckets, now_ms=now_ms)
            assert here == there
            if fits(here):
                under_way.append((permit, buckets))
        elif under_way:
            permit, buckets = under_way.pop()
            await local.give_back(org, permit, buckets, actual)
            await shared.give_back(org, permit, buckets, actual, now_ms=now_ms)


async def test_the_permits_of_a_process_that_died_run_out_and_those_of_a_living_one_do_not(
    server: Valkey,
) -> None:
    org, crowd = uuid.uuid4(), [Bucket("crowd", "parallel", 2)]
    dying = RedisLimiter(server.url, timeout_s=5, lease_s=0.6)
    living = RedisLimiter(server.url, timeout_s=5, lease_s=0.6)
    assert fits(await dying.take(org, "a", crowd))
    assert fits(await living.take(org, "b", crowd))
    assert not fits(await living.take(org, "c", crowd))
    await dying.close()  # renews no more
    await asyncio.sleep(1.0)
    assert fits(await living.take(org, "c", crowd))
    assert not fits(await living.take(org, "d", crowd))
    await living.close()


async def test_a_server_that_is_silent_or_gone_is_unavailable_in_time(tmp_path: Any) -> None:
    bucket = [Bucket("r", "requests", 5)]
    with valkey(tmp_path) as server:
        limiter = RedisLimiter(server.url, timeout_s=0.1, lease_s=30)
        loop = asyncio.get_running_loop()
        await limiter.take(ORG, "a", bucket)
        server.pause()
        start = loop.time()
        with pytest.raises(LimiterUnavailable):
            await limiter.take(ORG, "b", bucket)
        assert loop.time() - start < 1
        server.resume()
        await limiter.take(ORG, "c", bucket)
        server.kill()
        with pytest.raises(LimiterUnavailable):
            await limiter.take(ORG, "d", bucket)
        server.start()
        assert fits(await limiter.take(ORG, "e", bucket))
        await limiter.close()


async def test_the_process_forgets_buckets_that_have_drained() -> None:
    clock = FrozenClock()
    limiter = LocalLimiter(clock)
    for number in range(20_050):
        await limiter.take(ORG, "a", [Bucket(f"{number}", "requests", 100)])
        clock.advance(timedelta(milliseconds=1))
    assert len(limiter._levels) <= 10_001
