"""UUIDv7 and W3C trace ids."""

from __future__ import annotations

import time
from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepspace.kit.ids import is_trace_id, new_trace_id, parse_uuid, trace_id_from, uuid7

GOOD = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


def test_ids_are_uuids_of_version_seven_and_all_different() -> None:
    made = [uuid7() for _ in range(2000)]
    assert {(item.version, item.variant) for item in made} == {(7, RFC_4122)}
    assert len(set(made)) == len(made)


def test_an_id_begins_with_the_milliseconds_of_its_making_so_ids_sort_by_time() -> None:
    before = time.time_ns() // 1_000_000
    first = uuid7()
    after = time.time_ns() // 1_000_000
    assert before <= first.int >> 80 <= after
    time.sleep(0.002)
    assert uuid7() > first


def test_a_new_trace_id_has_the_form_of_one() -> None:
    assert all(is_trace_id(new_trace_id()) for _ in range(100))


@pytest.mark.parametrize(
    "text", ["", GOOD.upper(), GOOD[:-1], GOOD + "0", GOOD + "\n", "g" * 32, " " + GOOD[1:]]
)
def test_what_has_not_the_form_is_no_trace_id(text: str) -> None:
    assert not is_trace_id(text)


@pytest.mark.parametrize(
    "header",
    [
        f"00-{GOOD}-{SPAN}-01",
        f"00-{GOOD}-{SPAN}-00",
        f"01-{GOOD}-{SPAN}-01-what-a-later-version-adds",
    ],
)
def test_the_trace_id_of_a_good_traceparent_is_continued(header: str) -> None:
    assert trace_id_from(header) == GOOD


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "nonsense",
        GOOD,
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{'0' * 31}1-{'0' * 16}-01",  # W3C, section 3.2.2.4: a parent id of zeros makes it invalid
        f"00-{GOOD.upper()}-{SPAN}-01",
        f"ff-{GOOD}-{SPAN}-01",
        f"00-{GOOD}-{SPAN}",
        f"00-{GOOD}-{SPAN[:-1]}-01",
        f"00-{GOOD}-{SPAN}-1",
        f"00-{GOOD}-{SPAN}-01-extra",  # version 00 has exactly four parts
        f"00-{GOOD}-{SPAN}-01\n",
        f" 00-{GOOD}-{SPAN}-01",
    ],
)
def test_a_malformed_traceparent_is_left_aside(header: str | None) -> None:
    assert trace_id_from(header) is None


@given(st.text())
def test_reading_a_uuid_never_raises(text: str) -> None:
    found = parse_uuid(text)
    assert found is None or isinstance(found, UUID)


@given(st.uuids())
def test_a_uuid_that_is_spelled_out_is_read(value: UUID) -> None:
    assert parse_uuid(str(value)) == value
