"""Which channel answers: priority, load, breaker, waits, retry budget. Time is the test's own."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepspace.upstream.catalogue import Route, Timeouts
from deepspace.upstream.routing import (
    FAILURES_TO_OPEN,
    LONGEST_OPEN_S,
    LONGEST_RETRY_AFTER_S,
    MOST_SAVED_RETRIES,
    OPEN_S,
    RETRIES_PER_S,
    Router,
)


class Time:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


def route(**fields: Any) -> Route:
    """Return a route of a channel of its own."""
    plain: dict[str, Any] = {
        "channel_id": uuid4(),
        "channel_name": "c",
        "kind": "newapi",
        "base_url": "http://x",
        "api_key": None,
        "model": "m",
        "upstream_model": "m",
        "context_length": None,
        "max_output_tokens": 10,
        "timeouts": Timeouts(),
        "on_disconnect": "drain",
        "created_at": datetime.now(UTC),
    }
    return Route(**{**plain, **fields})


@pytest.fixture
def time() -> Time:
    """The test's clock."""
    return Time()


@pytest.fixture
def router(time: Time) -> Router:
    """A router that draws the same every time."""
    return Router(time, random.Random(7))


def fail(router: Router, one: Route, times: int = FAILURES_TO_OPEN) -> None:
    """Have a route fail."""
    for _ in range(times):
        router.begin(one, retry=False).failed()


def test_the_highest_priority_is_taken_while_it_is_well(router: Router) -> None:
    low, high = route(priority=0), route(priority=5)
    assert {router.choose([low, high]) for _ in range(20)} == {high}
    fail(router, high)
    assert {router.choose([low, high]) for _ in range(20)} == {low}


def test_calls_are_spread_by_weight_and_the_busy_one_gets_fewer(router: Router) -> None:
    light, heavy = route(weight=1), route(weight=3)
    counts = Counter[UUID]()
    for _ in range(2000):
        chosen = router.choose([light, heavy])
        assert chosen is not None
        router.begin(chosen, retry=False).answered()
        counts[chosen.channel_id] += 1
    assert counts[heavy.channel_id] > 2 * counts[light.channel_id]
    under_way = [router.begin(heavy, retry=False) for _ in range(60)]
    assert under_way
    chosen = Counter(router.choose([light, heavy]) for _ in range(400))
    assert chosen[light] > chosen[heavy] / 2  # whenever both are drawn, the free one wins


def test_a_breaker_opens_after_failures_in_a_row_and_lets_one_probe_through(
    router: Router, time: Time
) -> None:
    bad, good = route(priority=1), route()
    fail(router, bad, FAILURES_TO_OPEN - 1)
    router.begin(bad, retry=False).answered()  # not in a row any more
    fail(router, bad, FAILURES_TO_OPEN - 1)
    assert router.choose([bad, good]) is bad
    fail(router, bad, 1)
    assert router.choose([bad, good]) is good
    time.at += OPEN_S
    assert router.choose([bad, good]) is bad
    probe = router.begin(bad, retry=False)
    assert router.choose([bad, good]) is good  # one probe at a time
    probe.failed()
    time.at += OPEN_S
    assert router.choose([bad, good]) is good  # twice as long now
    time.at += OPEN_S
    router.begin(bad, retry=False).answered()
    assert router.choose([bad, good]) is bad
    assert router.health(bad.channel_id)["m"]["state"] == "closed"


def test_a_probe_that_nobody_waits_for_any_more_says_nothing_and_frees_the_place(
    router: Router, time: Time
) -> None:
    bad, good = route(priority=1), route()
    fail(router, bad)
    time.at += OPEN_S
    probe = router.begin(bad, retry=False)
    probe.given_up()
    probe.failed()  # after the end: changes nothing
    assert router.choose([bad, good]) is bad
    assert router.state(bad).in_flight == 0


def test_a_breaker_never_stays_open_longer_than_the_longest(router: Router, time: Time) -> None:
    bad, good = route(priority=1), route()
    fail(router, bad)
    for _ in range(12):
        time.at = router.state(bad).shut_until
        router.begin(bad, retry=False).failed()
    assert router.state(bad).shut_until - time.at <= LONGEST_OPEN_S
    time.at += LONGEST_OPEN_S
    assert router.choose([bad, good]) is bad


def test_if_every_breaker_is_open_the_routes_are_used_all_the_same(router: Router) -> None:
    one, other = route(), route()
    fail(router, one)
    fail(router, other)
    assert router.choose([one, other]) in {one, other}
    assert router.choose([one]) is one


def test_who_asks_to_be_left_alone_is_left_alone_even_if_there_is_no_other(
    router: Router, time: Time
) -> None:
    one = route()
    router.begin(one, retry=False).failed(retry_after_s=7)
    assert router.choose([one]) is None
    assert router.wait_s([one]) == 7
    time.at += 7
    assert router.choose([one]) is one
    router.begin(one, retry=False).failed(retry_after_s=1e9)
    time.at += LONGEST_RETRY_AFTER_S
    assert router.choose([one]) is one


def test_a_full_channel_is_passed_over_whichever_model_fills_it(router: Router) -> None:
    channel = uuid4()
    one = route(channel_id=channel, model="a", max_parallel=2, priority=1)
    same = route(channel_id=channel, model="b", max_parallel=2, priority=1)
    other = route(model="a")
    tickets = [router.begin(one, retry=False), router.begin(same, retry=False)]
    assert router.choose([one, other]) is other
    assert router.choose([one]) is None
    tickets[1].answered()
    assert router.choose([one, other]) is one


def test_retries_are_a_fifth_of_the_calls_and_what_time_gives(router: Router, time: Time) -> None:
    one = route()
    retries = 0
    calls = 1000
    for _ in range(calls):
        router.begin(one, retry=False).answered()
        while router.choose([one], [one]) is not None:
            router.begin(one, retry=True).answered()
            retries += 1
    assert retries <= calls / 5 + MOST_SAVED_RETRIES
    time.at += 10
    more = 0
    while router.choose([one], [one]) is not None:
        router.begin(one, retry=True).answered()
        more += 1
    assert abs(more - 10 * RETRIES_PER_S) <= 1


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from("aefgt")), max_size=80))
def test_nothing_is_lost_whatever_the_order_of_events(events: list[tuple[int, str]]) -> None:
    clock = Time()
    router = Router(clock, random.Random(1))
    routes = [route(max_parallel=3) for _ in range(4)]
    open_tickets: dict[int, list[Any]] = {index: [] for index in range(4)}
    for index, event in events:
        if event == "t":
            clock.at += 3
            continue
        if event == "a":
            open_tickets[index].append(router.begin(routes[index], retry=False))
        elif open_tickets[index]:
            ticket = open_tickets[index].pop()
            {"e": ticket.answered, "f": ticket.failed, "g": ticket.given_up}[event]()
        for number, one in enumerate(routes):
            state = router.state(one)
            assert state.in_flight == len(open_tickets[number])
            assert 0 <= state.error_rate <= 1
    for tickets in open_tickets.values():
        for ticket in tickets:
            ticket.answered()
    clock.at += LONGEST_OPEN_S
    assert router.choose(routes) is not None
