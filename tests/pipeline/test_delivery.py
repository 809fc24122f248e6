"""Between a pipeline that must finish and a client that may be slow, or gone."""

from __future__ import annotations

import asyncio

import pytest

from deepspace.kit.errors import PlatformError
from deepspace.pipeline import delivery as module
from deepspace.pipeline.delivery import BUFFER_BYTES, Delivery
from deepspace.pipeline.exchange import Presence

FRAME = b"x" * (BUFFER_BYTES // 4)


async def everything(delivery: Delivery, heartbeat_s: float = 5) -> list[bytes | None]:
    """Read to the end."""
    return [frame async for frame in delivery.frames(heartbeat_s)]


async def test_frames_come_out_in_order_and_the_end_is_the_end() -> None:
    delivery = Delivery(Presence())
    for number in range(5):
        await delivery.put(b"%d" % number)
    assert not delivery.settled
    delivery.close()
    assert delivery.settled
    assert await everything(delivery) == [b"0", b"1", b"2", b"3", b"4"]


async def test_a_reader_that_waits_gets_each_frame_when_it_comes() -> None:
    delivery = Delivery(Presence())
    reading = asyncio.create_task(everything(delivery))
    for number in range(3):
        await asyncio.sleep(0)
        await delivery.put(b"%d" % number)
    delivery.close()
    assert await reading == [b"0", b"1", b"2"]


async def test_silence_is_filled_with_heartbeats() -> None:
    delivery = Delivery(Presence())
    reading = asyncio.create_task(everything(delivery, heartbeat_s=0.01))
    await asyncio.sleep(0.05)
    await delivery.put(b"late")
    delivery.close()
    heard = await reading
    assert heard[-1] == b"late"
    assert heard[0] is None


async def test_a_full_buffer_holds_the_pipeline_back_until_the_client_reads() -> None:
    delivery = Delivery(Presence())
    for _ in range(4):
        await delivery.put(FRAME)
    waiting = asyncio.create_task(delivery.put(b"one more"))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    frames = delivery.frames(5)
    assert await anext(frames) == FRAME
    await waiting
    delivery.close()
    assert [frame async for frame in frames] == [FRAME, FRAME, FRAME, b"one more"]


async def test_a_client_that_reads_nothing_counts_as_gone_and_its_memory_is_given_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "WRITE_TIMEOUT_S", 0.02)
    presence = Presence()
    delivery = Delivery(presence)
    for _ in range(4):
        await delivery.put(FRAME)
    await delivery.put(b"one more")
    assert presence.gone.is_set()
    await delivery.put(b"and another")  # does not wait any more
    delivery.close()
    assert await everything(delivery) == []


async def test_a_client_that_leaves_sets_a_waiting_pipeline_free_at_once() -> None:
    presence = Presence()
    delivery = Delivery(presence)
    for _ in range(4):
        await delivery.put(FRAME)
    waiting = asyncio.create_task(delivery.put(b"one more"))
    await asyncio.sleep(0)
    presence.leave()
    await asyncio.wait_for(waiting, 1)


async def test_started_waits_for_the_first_frame_or_the_end() -> None:
    delivery = Delivery(Presence())
    assert await delivery.started(0.01) is False
    await delivery.put(b"x")
    assert await delivery.started(0.01) is True
    ended = Delivery(Presence())
    ended.close()
    assert await ended.started(0.01) is True


async def test_an_error_before_the_first_frame_is_a_refusal_and_after_it_is_not() -> None:
    error = PlatformError("broken")
    refused = Delivery(Presence())
    refused.close(error)
    assert refused.refusal is error
    assert refused.error is error
    begun = Delivery(Presence())
    await begun.put(b"x")
    begun.close(error)
    assert begun.refusal is None
    assert begun.error is error


def test_leaving_is_noted_once_and_told_to_those_who_ask_later_too() -> None:
    presence = Presence()
    told: list[int] = []
    presence.when_gone(lambda: told.append(1))
    presence.leave()
    presence.leave()
    presence.when_gone(lambda: told.append(2))
    assert told == [1, 2]
