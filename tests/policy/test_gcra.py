"""The rate algorithm: exactly burst + rate × time, for any rate, any times, any costs."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from deepspace.policy.gcra import (
    MAX_PER_MINUTE,
    UNIT,
    Level,
    charged,
    corrected,
    drained,
    remaining,
    reset_ms,
    wait_ms,
)

rates = st.integers(1, MAX_PER_MINUTE)
low_rates = st.integers(1, 400)
gaps = st.lists(st.integers(0, 5_000), min_size=1, max_size=200)


class Bucket:
    """A bucket driven by the pure functions."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self.state: Level | None = None

    def take(self, now_ms: int, cost: int = 1) -> bool:
        """Take if there is room."""
        level = drained(self.state, self.per_minute, now_ms)
        if wait_ms(level, self.per_minute, cost):
            return False
        self.state = Level(charged(level, self.per_minute, cost), now_ms)
        return True


@given(low_rates, gaps)
def test_greedy_calls_are_admitted_exactly_burst_plus_rate_times_time(rate: int, steps: list[int]) -> None:
    """Asked until refused at every step, a bucket that never runs full admits floor(burst + rate × time)."""
    bucket, now, admitted = Bucket(rate), 0, 0
    while bucket.take(now):
        admitted += 1
    assert admitted == rate
    for step in steps:
        now += step
        before = admitted
        while bucket.take(now):
            admitted += 1
        if admitted - before >= rate:  # it may have stood full: from here on count anew
            bucket, now, admitted = Bucket(rate), 0, 0
            while bucket.take(now):
                admitted += 1
        else:
            assert admitted == rate + now * rate // UNIT


@given(rates, st.lists(st.tuples(st.integers(0, 90_000), st.integers(1, 10**9)), max_size=60))
def test_never_more_than_burst_plus_rate_times_time_is_admitted_in_any_span(
    rate: int, asked: list[tuple[int, int]]
) -> None:
    bucket, now = Bucket(rate), 0
    admitted: list[tuple[int, int]] = []
    for gap, cost in asked:
        now += gap
        if bucket.take(now, cost):
            admitted.append((now, min(cost, rate)))
    for start in range(len(admitted)):
        total = 0
        for at, cost in admitted[start:]:
            total += cost
            assert total * UNIT <= rate * UNIT + (at - admitted[start][0]) * rate


@given(low_rates, st.lists(st.integers(-(10**8), 10**8), min_size=1, max_size=60))
def test_a_clock_that_is_set_back_opens_nothing(rate: int, jumps: list[int]) -> None:
    """However the clock jumps, what is admitted is at most burst + rate × the time that passed forwards."""
    bucket, now, admitted = Bucket(rate), 10**12, 0
    times = [now]
    for jump in jumps:
        while bucket.take(now):
            admitted += 1
        refused_then = not bucket.take(now)
        if jump < 0:
            assert refused_then
            assert not bucket.take(now + jump)
        now += jump
        times.append(now)
    forwards = sum(max(0, later - earlier) for earlier, later in pairwise(times))
    assert admitted * UNIT <= rate * UNIT + forwards * rate


@given(rates, st.integers(0, 2 * MAX_PER_MINUTE * UNIT), st.integers(1, 10**9))
def test_the_wait_is_the_shortest_after_which_the_call_is_admitted(rate: int, level: int, cost: int) -> None:
    wait, state = wait_ms(level, rate, cost), Level(level, 0)
    assert wait_ms(drained(state, rate, wait), rate, cost) == 0
    if wait:
        assert wait_ms(drained(state, rate, wait - 1), rate, cost) == 1


@given(rates, st.integers(1, 10**9))
def test_the_reset_is_when_the_bucket_is_empty_again(rate: int, cost: int) -> None:
    level = charged(0, rate, cost)
    state, reset = Level(level, 0), reset_ms(level, rate)
    assert drained(state, rate, reset) == 0
    assert drained(state, rate, reset - 1) > 0
    assert remaining(level, rate) == rate - min(cost, rate)


@given(rates, st.integers(0, 10**9), st.integers(0, 10**9))
def test_a_correction_charges_what_was_used(rate: int, estimate: int, actual: int) -> None:
    level = charged(0, rate, estimate)
    assert corrected(level, rate, estimate, actual) == actual * UNIT
    assert corrected(0, rate, estimate, 0) == 0  # it drained meanwhile: nothing is given twice


@given(rates)
def test_every_number_fits_a_double(rate: int) -> None:
    assert corrected(rate * UNIT, rate, 0, 10**9) < 2**53
