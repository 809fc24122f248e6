"""Runs a call through the steps, to its end, whatever the client does.

The run is a task of its own, detached from the client's connection: BEFORE (a step refuses by raising;
nothing was sent), CALL (frames flow), AFTER (always, and never cancelled), then one durable commit; only then
is the client told that the answer is complete.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any

from deepspace.kit.errors import DatabaseUnavailable, PlatformError
from deepspace.kit.log import get_logger, trace_id_var
from deepspace.pipeline.answers import keep
from deepspace.pipeline.delivery import Delivery
from deepspace.pipeline.exchange import Exchange
from deepspace.pipeline.registry import HOLD, CallStep, PluginStep, Step, check_order, place

log = get_logger(__name__)

SETTLE_S = 15.0
"""How long a stopping process waits for settlements under way; the ledger puts them on its spool after
two."""

BEFORE_TIMEOUT_S = 2.0
"""How long a call may take until it is sent. Only a database that does not answer takes so long."""


class Pipeline:
    """The steps in their order, and the tasks that are under way."""

    def __init__(
        self,
        before: Sequence[Step],
        call: CallStep,
        after: Sequence[Step],
        settle: Callable[[Exchange], Awaitable[None]],
        abandon: Callable[[Exchange], None],
        *,
        release: Callable[[Exchange], Awaitable[None]],
        plugins: Sequence[PluginStep] = (),
    ) -> None:
        """Check the order; `settle` commits what `after` prepared; `abandon` gives up on a call that cannot
        be; `release` frees, after either, what the call held while it ran, and never raises."""
        check_order([*(step.name for step in before), call.name, *(step.name for step in after)])
        self.before = place(before, plugins)
        self.call = call
        self.after = tuple(after)
        self._settle = settle
        self._abandon = abandon
        self._release = release
        self._running: set[asyncio.Task[None]] = set()
        self._finishing: set[asyncio.Task[Any] | None] = set()

    def start(self, x: Exchange) -> Delivery:
        """Start a call and return where its frames will appear."""
        delivery = Delivery(x.presence)
        task = asyncio.create_task(self._run(x, delivery), name=f"call {x.trace_id}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return delivery

    async def admit(self, x: Exchange) -> None:
        """Run the steps in front of the hold, for what costs nothing: who asks, and may they? Raises what
        refuses."""
        try:
            for step in self.before:
                if step.name == HOLD:
                    break
                await step(x)
        finally:
            await self._release(x)

    @property
    def in_flight(self) -> int:
        """How many calls are under way."""
        return len(self._running)

    async def drain(self, timeout_s: float) -> None:
        """Wait for the calls under way; after `timeout_s` end their upstream and settle what was
        delivered."""
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=timeout_s)
            for task in late - self._finishing:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=SETTLE_S)

    async def _run(self, x: Exchange, delivery: Delivery) -> None:
        trace_id_var.set(x.trace_id)
        patience = asyncio.get_running_loop().call_later(
            BEFORE_TIMEOUT_S, _refuse_late, x, delivery, asyncio.current_task()
        )
        try:
            await self._before(x)
            patience.cancel()
            if x.replay is None and not x.presence.gone.is_set():
                async with aclosing(self.call(x)) as frames:
                    async for frame in frames:
                        keep(x, frame)
                        await delivery.put(frame)
        except PlatformError as error:
            x.error = error
        except asyncio.CancelledError:
            x.error = x.error or PlatformError(
                "The server is shutting down; what was delivered is charged, the rest is not."
            )
        except Exception:
            log.exception("call failed unexpectedly")
            x.error = PlatformError()
        finally:
            patience.cancel()
            await self._finish(x, delivery)

    async def _before(self, x: Exchange) -> None:
        for step in self.before:
            start = x.clock.monotonic_ns()
            try:
                await step(x)
            except PlatformError as error:
                x.note(
                    step.name,
                    f"{step.name}.refused",
                    duration_ns=x.clock.monotonic_ns() - start,
                    code=error.code,
                )
                raise

    async def _finish(self, x: Exchange, delivery: Delivery) -> None:
        """Bring a call to its books. Nothing cancels it from here on: see `drain` and `_refuse_late`."""
        task = asyncio.current_task()
        self._finishing.add(task)
        try:
            for step in self.after:
                await step(x)
            await self._settle(x)
        except PlatformError as error:
            log.warning("call not settled", code=error.code, billing_ref_id=x.billing_ref_id)
            x.error = x.error or error
        except Exception:
            # A fault of ours: the hold stays, nobody renews it any more, and the sweeper settles it.
            log.exception("call not settled", billing_ref_id=x.billing_ref_id)
            self._abandon(x)
            x.error = x.error or PlatformError()
        finally:
            await self._release(x)  # before the client is told: its next call finds the permit free
            delivery.close(x.error)
            x.presence.forget()
            self._finishing.discard(task)


def _refuse_late(x: Exchange, delivery: Delivery, task: asyncio.Task[None] | None) -> None:
    """Tell the client at once that nothing will come of the call, then end what it waits for: a query to a
    database that has fallen silent can take long to give up."""
    x.error = DatabaseUnavailable(headers={"retry-after": "2"})
    delivery.close(x.error)
    if task is not None:
        task.cancel()
