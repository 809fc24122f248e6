"""Pages, caches, seals."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepspace.kit.cache import ReadThrough
from deepspace.kit.crypto import KeyRing, SealBroken, Sealer
from deepspace.kit.errors import ValidationFailed
from deepspace.kit.page import decode_cursor, encode_cursor, page_of

moments = st.datetimes(timezones=st.just(UTC))


@given(moments, st.uuids())
def test_a_cursor_stands_for_its_place(at: datetime, row_id: UUID) -> None:
    assert decode_cursor(encode_cursor(at, row_id)) == (at, row_id)


def _cursor(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "é",
        "====",
        "\x00",
        _cursor(7),
        _cursor([]),
        _cursor({}),
        _cursor(["2026-01-01", 7]),
        _cursor([7, "0198f0a0-0000-7000-8000-000000000000"]),
        _cursor(["yesterday", "0198f0a0-0000-7000-8000-000000000000"]),
        _cursor(["2026-01-01T00:00:00+00:00", "no id"]),
        _cursor("ab"),
        base64.urlsafe_b64encode(b"\xff\xfe").decode(),
        base64.urlsafe_b64encode(b"[" * 100_000).decode(),
    ],
)
def test_a_cursor_of_somebody_else_is_refused_and_never_an_accident(cursor: str) -> None:
    with pytest.raises(ValidationFailed):
        decode_cursor(cursor)


@given(st.text(max_size=60))
def test_no_text_makes_the_cursor_reader_fail_otherwise(text: str) -> None:
    with pytest.raises(ValidationFailed) as caught:
        decode_cursor(text)
    assert caught.value.param == "cursor"


@given(st.integers(0, 30), st.integers(1, 10))
def test_pages_hold_every_row_once(total: int, limit: int) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [(start - timedelta(minutes=number), UUID(int=number)) for number in range(total)]
    seen: list[tuple[datetime, UUID]] = []
    before: tuple[datetime, UUID] | None = None
    while True:
        left = [row for row in rows if before is None or row < before]
        page = page_of(left[: limit + 1], limit, lambda row: row, lambda row: row)
        seen += page.items
        if page.next_cursor is None:
            break
        assert len(page.items) == limit
        before = decode_cursor(page.next_cursor)
    assert seen == rows


async def test_many_who_miss_share_one_load() -> None:
    loads = 0
    gate = asyncio.Event()

    async def load(key: str) -> str:
        nonlocal loads
        loads += 1
        await gate.wait()
        return key.upper()

    cache = ReadThrough(load, max_age_s=60, max_entries=10)
    waiting = [asyncio.create_task(cache.get("a")) for _ in range(20)]
    await asyncio.sleep(0)
    gate.set()
    assert await asyncio.gather(*waiting) == ["A"] * 20
    assert loads == 1
    assert await cache.get("a") == "A"
    assert loads == 1


async def test_a_waiter_that_gives_up_does_not_take_the_load_from_the_others() -> None:
    gate = asyncio.Event()

    async def load(key: str) -> str:
        await gate.wait()
        return key

    cache = ReadThrough(load, max_age_s=60, max_entries=10)
    impatient, patient = (asyncio.create_task(cache.get("a")) for _ in range(2))
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.sleep(0)
    gate.set()
    assert await patient == "a"
    assert impatient.cancelled()


async def test_an_entry_is_loaded_again_when_it_is_too_old_or_forgotten() -> None:
    loads: list[str] = []

    async def load(key: str) -> int:
        loads.append(key)
        return len(loads)

    cache = ReadThrough(load, max_age_s=0.02, max_entries=10)
    assert await cache.get("a") == 1
    await asyncio.sleep(0.03)
    assert await cache.get("a") == 2
    lasting = ReadThrough(load, max_age_s=60, max_entries=10)
    assert await lasting.get("b") == 3
    lasting.forget("b")
    assert await lasting.get("b") == 4


async def test_a_load_that_fails_fails_everybody_waiting_and_is_tried_again() -> None:
    tries = 0

    async def load(key: str) -> str:
        nonlocal tries
        tries += 1
        await asyncio.sleep(0)
        if tries == 1:
            raise ConnectionError("away")
        return key

    cache = ReadThrough(load, max_age_s=60, max_entries=10)
    results = await asyncio.gather(cache.get("a"), cache.get("a"), return_exceptions=True)
    assert [type(result) for result in results] == [ConnectionError, ConnectionError]
    assert await cache.get("a") == "a"


async def test_what_was_forgotten_while_it_was_being_loaded_is_loaded_again() -> None:
    """A key revoked just while its record was being read must not live on in the cache."""
    answers = ["good", "revoked"]
    gates = [asyncio.Event(), asyncio.Event()]
    gates[1].set()
    loads = 0

    async def load(_: str) -> str:
        nonlocal loads
        number, loads = loads, loads + 1
        answer = answers[number]
        await gates[number].wait()
        return answer

    cache = ReadThrough(load, max_age_s=60, max_entries=10)
    early = asyncio.create_task(cache.get("key"))
    await asyncio.sleep(0)
    cache.forget("key")
    gates[0].set()
    assert await early == "good"  # it asked before
    assert await cache.get("key") == "revoked"


async def test_the_cache_is_bounded() -> None:
    loads: list[int] = []

    async def load(key: int) -> int:
        loads.append(key)
        return key

    cache = ReadThrough(load, max_age_s=60, max_entries=3)
    for key in range(5):
        await cache.get(key)
    await cache.get(4)
    assert loads == [0, 1, 2, 3, 4]
    await cache.get(0)  # the oldest had to go
    assert loads[-1] == 0


RING = KeyRing(b"r" * 32)


@given(st.text(max_size=100), st.text(max_size=50))
def test_a_sealed_secret_opens_in_its_place(secret: str, place: str) -> None:
    try:
        secret.encode(), place.encode()
    except UnicodeEncodeError:
        return
    sealer = Sealer(RING.key("test"))
    blob = sealer.seal(secret, place)
    assert sealer.open(blob, place) == secret
    assert sealer.seal(secret, place) != blob  # a fresh nonce every time


def test_a_sealed_secret_opens_in_no_other_place_and_with_no_other_key() -> None:
    sealer = Sealer(RING.key("test"))
    blob = sealer.seal("sk-secret", "channels|sealed_key|1")
    assert b"sk-secret" not in blob
    with pytest.raises(SealBroken):
        sealer.open(blob, "channels|sealed_key|2")
    with pytest.raises(SealBroken):
        Sealer(RING.key("other purpose")).open(blob, "channels|sealed_key|1")
    with pytest.raises(SealBroken):
        Sealer(KeyRing(b"s" * 32).key("test")).open(blob, "channels|sealed_key|1")


def test_every_flipped_bit_and_every_cut_is_noticed() -> None:
    sealer = Sealer(RING.key("test"))
    blob = sealer.seal("s", "here")
    for position in range(len(blob)):
        for bit in (1, 128):
            changed = bytearray(blob)
            changed[position] ^= bit
            with pytest.raises(SealBroken):
                sealer.open(bytes(changed), "here")
        with pytest.raises(SealBroken):
            sealer.open(blob[:position], "here")


def test_keys_are_bound_to_their_purpose_and_the_root_is_long_enough() -> None:
    assert RING.key("a") == KeyRing(b"r" * 32).key("a")
    assert RING.key("a") != RING.key("b")
    assert len(RING.key("a")) == 32
    with pytest.raises(ValueError, match="32 bytes"):
        KeyRing(b"short")
