"""The ladder of load: pure decisions, and what each level refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepspace.gateway.connections import HEAD_S, Patience, is_too_slow
from deepspace.gateway.load import (
    SUSTAINED,
    Level,
    Load,
    Sample,
    Thresholds,
    level_of,
    memory_limit_bytes,
    sustained,
)
from deepspace.kit.errors import Overloaded

THRESHOLDS = Thresholds(0.5, 2.0)
SAMPLES = st.builds(Sample, st.floats(0, 5), st.floats(0, 1.2))


@given(SAMPLES, SAMPLES, st.sampled_from(Level))
def test_more_load_never_means_a_lower_level(one: Sample, other: Sample, before: Level) -> None:
    worse = Sample(max(one.lag_s, other.lag_s), max(one.memory, other.memory))
    assert level_of(worse, before, THRESHOLDS) >= level_of(one, before, THRESHOLDS)


@given(SAMPLES, st.sampled_from(Level))
def test_a_level_that_was_reached_stays_at_the_same_load(sample: Sample, before: Level) -> None:
    level = level_of(sample, before, THRESHOLDS)
    assert level_of(sample, level, THRESHOLDS) == level


def test_levels_rise_at_once_and_fall_with_some_relief() -> None:
    assert level_of(Sample(0.5, 0), Level.CALM, THRESHOLDS) is Level.STRAINED
    assert level_of(Sample(0.45, 0), Level.CALM, THRESHOLDS) is Level.CALM
    assert level_of(Sample(0.45, 0), Level.STRAINED, THRESHOLDS) is Level.STRAINED
    assert level_of(Sample(0.39, 0), Level.STRAINED, THRESHOLDS) is Level.CALM
    assert level_of(Sample(0, 0.91), Level.CALM, THRESHOLDS) is Level.OVERLOADED
    assert level_of(Sample(0, 0.5), Level.OVERLOADED, THRESHOLDS) is Level.CALM


def test_one_long_pause_is_no_overload() -> None:
    assert sustained([9.0]) == 0
    assert sustained([9.0] + [0.0] * (SUSTAINED - 1)) == 0
    assert sustained([0.6] * SUSTAINED) == 0.6


def test_what_each_level_refuses_says_when_to_come_back_and_is_counted() -> None:
    load = Load(THRESHOLDS, memory_bytes=None, max_calls=2, max_connections=3)
    load.admit(3)
    load.admit_call(1)
    with pytest.raises(Overloaded) as refused:
        load.admit(4)
    assert refused.value.headers == {"retry-after": "2", "connection": "close"}
    with pytest.raises(Overloaded):
        load.admit_call(2)
    load.level = Level.STRAINED
    load.admit(1)
    with pytest.raises(Overloaded):
        load.admit_call(0)
    load.level = Level.OVERLOADED
    with pytest.raises(Overloaded):
        load.admit(1)
    assert dict(load.shed) == {"connections": 1, "calls": 1, "strained": 1, "overloaded": 1}


def test_memory_is_limited_as_set() -> None:
    assert memory_limit_bytes(10) == 10 * 1024 * 1024
    found = memory_limit_bytes(None)
    assert found is None or found > 0
    assert Path("/proc/self/statm").exists()


class Someone:
    """A connection."""

    def __init__(
        self, head: float | None = None, body: float | None = None, stuck: float | None = None
    ) -> None:
        self.awaits_head_since, self.awaits_body_since, self.stuck_since = head, body, stuck

    def drop(self) -> None:
        """Nothing to close."""


def test_a_connection_is_dropped_for_a_slow_head_a_slow_body_and_for_not_reading() -> None:
    patience = Patience(request_s=60, write_s=30)
    assert not is_too_slow(Someone(), 1000, patience)
    for someone, dropped in (
        (Someone(head=1000 - HEAD_S + 1), False),
        (Someone(head=1000 - HEAD_S - 1), True),
        (Someone(body=941), False),
        (Someone(body=939), True),
        (Someone(stuck=971), False),
        (Someone(stuck=969), True),
    ):
        assert is_too_slow(someone, 1000, patience) is dropped
