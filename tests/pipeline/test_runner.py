"""The runner: whatever happens, AFTER runs, money is settled once, and the client is told last."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import pytest

from deepspace.kit.errors import PermissionDenied, PlatformError
from deepspace.pipeline.delivery import Delivery
from deepspace.pipeline.exchange import ChatCall, Exchange
from deepspace.pipeline.runner import Pipeline
from deepspace.testing.clock import FrozenClock
from deepspace.upstream.errors import UpstreamError


class Dialect:
    """An encoder that says little."""

    content_type = "text/plain"

    def whole(self, x: Exchange) -> bytes:
        """Return the answer."""
        return x.answer or b""

    def tail(self, x: Exchange, error: PlatformError | None) -> bytes:
        """Return the end."""
        return b"end"

    def error(self, x: Exchange, error: PlatformError) -> bytes:
        """Return an error."""
        return error.code.encode()


class Recording:
    """Steps that write down that they ran; `act` is what one of them does beside."""

    def __init__(self, **acts: Callable[[Exchange], Awaitable[None]]) -> None:
        self.ran: list[str] = []
        self.acts = acts
        self.abandoned: list[Exchange] = []

    def step(self, name: str) -> Any:
        """Return a step of that name."""
        recording = self

        class Step:
            def __init__(self) -> None:
                self.name = name

            async def __call__(self, x: Exchange) -> None:
                recording.ran.append(name)
                if name in recording.acts:
                    await recording.acts[name](x)

        return Step()

    def pipeline(self, call: Callable[[Exchange], AsyncGenerator[bytes]]) -> Pipeline:
        """Return a pipeline of such steps around `call`."""
        recording = self

        class Call:
            name = "upstream_call"

            async def __call__(self, x: Exchange) -> AsyncGenerator[bytes]:
                recording.ran.append("upstream_call")
                async for frame in call(x):
                    yield frame

        before = [self.step(name) for name in ("auth", "policy", "budget_hold")]
        after = [self.step(name) for name in ("usage_capture", "audit")]
        settle, release = self.step("settle"), self.step("release")
        return Pipeline(before, Call(), after, settle, self.abandoned.append, release=release)


def exchange() -> Exchange:
    """Return a call that has just come in."""
    clock = FrozenClock()
    return Exchange(
        trace_id="0" * 31 + "1",
        path="/v1/chat/completions",
        credential=None,
        wanted_project=None,
        call=ChatCall("m", True, False, None, 1, b"{}", {}),
        clock=clock,
        started_at=clock.now(),
        started_ns=clock.monotonic_ns(),
        encoder=Dialect(),
    )


BEFORE = ["auth", "policy", "budget_hold"]
AFTER = ["usage_capture", "audit", "settle", "release"]


async def two_frames(x: Exchange) -> AsyncGenerator[bytes]:
    """Answer well."""
    yield b"one"
    yield b"two"


async def finished(delivery: Delivery) -> list[bytes | None]:
    """Read to the end."""
    async with asyncio.timeout(5):
        return [frame async for frame in delivery.frames(5)]


async def test_a_good_call_runs_every_step_once_in_order_and_ends_without_an_error() -> None:
    recording = Recording()
    delivery = recording.pipeline(two_frames).start(exchange())
    assert await finished(delivery) == [b"one", b"two"]
    assert delivery.error is None
    assert recording.ran == [*BEFORE, "upstream_call", *AFTER]


@pytest.mark.parametrize("refusing", BEFORE)
async def test_a_refusal_skips_the_rest_but_never_what_comes_after(refusing: str) -> None:
    async def refuse(_: Exchange) -> None:
        raise PermissionDenied

    recording = Recording(**{refusing: refuse})
    x = exchange()
    delivery = recording.pipeline(two_frames).start(x)
    assert await finished(delivery) == []
    assert isinstance(delivery.refusal, PermissionDenied)
    assert recording.ran == [*BEFORE[: BEFORE.index(refusing) + 1], *AFTER]
    assert x.timeline[-1].event == f"{refusing}.refused"


async def test_an_accident_in_a_step_is_an_internal_error_that_says_nothing_of_its_cause() -> None:
    async def stumble(_: Exchange) -> None:
        raise KeyError("sk-secret")

    recording = Recording(policy=stumble)
    delivery = recording.pipeline(two_frames).start(exchange())
    await finished(delivery)
    assert delivery.refusal is not None
    assert (delivery.refusal.code, delivery.refusal.status) == ("internal_error", 500)
    assert "sk-secret" not in delivery.refusal.message
    assert recording.ran[-4:] == AFTER


@pytest.mark.parametrize("error", [UpstreamError("broken"), RuntimeError("broken")])
async def test_a_call_that_breaks_delivers_what_came_before_and_settles(error: Exception) -> None:
    async def breaking(_: Exchange) -> AsyncGenerator[bytes]:
        yield b"one"
        raise error

    recording = Recording()
    delivery = recording.pipeline(breaking).start(exchange())
    await delivery.started()
    assert delivery.refusal is None  # a frame is on its way: too late for a status
    assert await finished(delivery) == [b"one"]
    assert delivery.error is not None
    assert recording.ran[-4:] == AFTER


async def test_the_client_is_told_of_the_end_only_after_the_books_are_closed() -> None:
    gate = asyncio.Event()

    async def wait(_: Exchange) -> None:
        await gate.wait()

    delivery = Recording(settle=wait).pipeline(two_frames).start(exchange())
    frames = delivery.frames(0.02)
    assert [await anext(frames), await anext(frames)] == [b"one", b"two"]
    assert await anext(frames) is None  # a heartbeat: everything was delivered, nothing is settled
    assert not delivery.settled
    gate.set()
    assert [frame async for frame in frames if frame is not None] == []
    assert delivery.settled


async def test_books_that_cannot_be_closed_are_an_error_to_the_client() -> None:
    async def fail(_: Exchange) -> None:
        raise RuntimeError("the disk is full")

    delivery = Recording(settle=fail).pipeline(two_frames).start(exchange())
    assert await finished(delivery) == [b"one", b"two"]
    assert delivery.error is not None
    assert delivery.error.code == "internal_error"


async def test_a_client_that_leaves_before_the_call_is_not_called_for_and_still_settled() -> None:
    async def leave(x: Exchange) -> None:
        x.presence.leave()

    recording = Recording(budget_hold=leave)
    await finished(recording.pipeline(two_frames).start(exchange()))
    assert recording.ran == [*BEFORE, *AFTER]


async def test_a_client_that_leaves_in_the_middle_changes_nothing_for_the_books() -> None:
    gate = asyncio.Event()
    taken: list[bytes] = []

    async def slowly(_: Exchange) -> AsyncGenerator[bytes]:
        yield b"one"
        await gate.wait()
        for frame in (b"two", b"three"):
            taken.append(frame)
            yield frame

    recording = Recording()
    x = exchange()
    pipeline = recording.pipeline(slowly)
    delivery = pipeline.start(x)
    assert await anext(delivery.frames(5)) == b"one"
    x.presence.leave()
    gate.set()
    await pipeline.drain(5)
    assert taken == [b"two", b"three"]
    assert recording.ran[-4:] == AFTER
    assert pipeline.in_flight == 0


async def test_a_drain_waits_for_calls_under_way_and_ends_those_that_take_too_long() -> None:
    async def for_ever(_: Exchange) -> AsyncGenerator[bytes]:
        yield b"one"
        await asyncio.sleep(60)

    recording = Recording()
    pipeline = recording.pipeline(for_ever)
    delivery = pipeline.start(exchange())
    await delivery.started()
    assert pipeline.in_flight == 1
    await pipeline.drain(0.05)
    assert pipeline.in_flight == 0
    assert recording.ran[-4:] == AFTER
    assert await finished(delivery) == [b"one"]
    assert delivery.error is not None
    assert "shutting down" in delivery.error.message


async def test_a_settlement_under_way_is_not_cut_off_by_a_drain_of_no_time() -> None:
    settled: list[str] = []

    async def slowly(_: Exchange) -> None:
        await asyncio.sleep(0.05)
        settled.append("committed")

    pipeline = Recording(settle=slowly).pipeline(two_frames)
    delivery = pipeline.start(exchange())
    assert await anext(delivery.frames(5)) == b"one"
    await asyncio.sleep(0.01)
    await pipeline.drain(0)
    assert delivery.settled
    assert settled == ["committed"]


async def slowly(_: Exchange) -> None:
    await asyncio.sleep(0.05)


async def test_a_drain_of_no_time_still_settles() -> None:
    async def for_ever(_: Exchange) -> AsyncGenerator[bytes]:
        yield b"one"
        await asyncio.sleep(60)

    recording = Recording(usage_capture=slowly)
    pipeline = recording.pipeline(for_ever)
    await pipeline.start(exchange()).started()
    await pipeline.drain(0)
    assert recording.ran[-4:] == AFTER


async def test_a_call_that_cannot_be_settled_is_given_up_for_the_sweeper() -> None:
    async def fails(_: Exchange) -> None:
        raise ZeroDivisionError

    recording = Recording(usage_capture=fails)
    x = exchange()
    delivery = recording.pipeline(two_frames).start(x)
    assert [frame async for frame in delivery.frames(1)] == [b"one", b"two"]
    assert delivery.error is not None
    assert recording.abandoned == [x]


async def test_permits_are_released_after_the_books_are_closed_and_before_the_client_is_told() -> None:
    delivery: Delivery | None = None
    told: list[bool] = []

    async def look(_: Exchange) -> None:
        assert delivery is not None
        told.append(delivery.settled)

    recording = Recording(release=look)
    delivery = recording.pipeline(two_frames).start(exchange())
    await finished(delivery)
    assert recording.ran[-2:] == ["settle", "release"]
    assert told == [False]
