"""upstream_call: speak to the model. Frames flow as they come; a small scanner watches for usage and errors.

Before the first byte a failing channel is left for the next (upstream/routing.py chooses); after it a failure
is told to the client.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Sequence
from datetime import timedelta
from typing import TypeVar

from deepspace.billing.ledger import Ledger, Progress
from deepspace.billing.turning import Turner
from deepspace.kit.errors import PlatformError
from deepspace.kit.failpoints import reach
from deepspace.kit.sse import SseScanner
from deepspace.pipeline.exchange import Attempt, Exchange, Fallback
from deepspace.pipeline.fallbacks import next_after
from deepspace.pipeline.guarded import GuardedReader, guard_whole
from deepspace.pipeline.wording import StreamReader, read_whole, request_for
from deepspace.pipeline.wording_of_operations import begin_answer, operation_request, read_operation, relay
from deepspace.policy.errors import GuardrailBlocked
from deepspace.upstream.anthropic.words import Untranslatable
from deepspace.upstream.catalogue import Route
from deepspace.upstream.client import Response, UpstreamClient
from deepspace.upstream.errors import ChannelsBusy, UpstreamError, UpstreamTimeout, UpstreamUnavailable
from deepspace.upstream.routing import Router, Ticket
from deepspace.upstream.wire import error_message, estimate_tokens, rejected

MAX_ANSWER_BYTES = 64 * 1024 * 1024
MAX_ERROR_BYTES = 64 * 1024
MAX_TRIES = 3
CHECKPOINT_NS = 2_000_000_000
RETRY_WAIT_S = 0.2
RETRY_STATUS = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
CREDENTIAL_STATUS = frozenset({401, 402, 403})

Result = TypeVar("Result")


class ClientLeft(Exception):
    """The client is gone and the channel's policy is to stop."""


class UpstreamCall:
    """Sends the call to the first channel that answers."""

    name = "upstream_call"

    def __init__(
        self,
        client: UpstreamClient,
        router: Router,
        ledger: Ledger,
        turner: Turner,
        drain_timeout: timedelta,
    ) -> None:
        """`drain_timeout` bounds how long an answer is read on for a client that has left."""
        self._client = client
        self._router = router
        self._ledger = ledger
        self._turner = turner
        self._drain_s = drain_timeout.total_seconds()

    async def __call__(self, x: Exchange) -> AsyncGenerator[bytes]:
        """Yield frames of a stream; put a JSON answer on the exchange. Writes attempts, usage, delivered."""
        try:
            response, attempt, ticket = await self._answering(x)
        except ClientLeft:
            return
        reach("call.after_head")
        x.answered_by = attempt.route
        self._watch_client(x, response, attempt.route)
        operation = x.call.operation
        try:
            if operation is not None:
                begin_answer(operation, x, response)
            if x.call.stream:
                checkpoint_ns = attempt.started_ns
                if operation is None:
                    frames = _stream(x, response, attempt)
                else:
                    frames = relay(operation, x, _noted(x, response, attempt))
                async for frame in frames:
                    yield frame
                    now_ns = x.clock.monotonic_ns()
                    if now_ns - checkpoint_ns > CHECKPOINT_NS:
                        checkpoint_ns = now_ns
                        await self._checkpoint(x, response, attempt)
            else:
                await _whole(x, response, attempt)
        except (UpstreamUnavailable, UpstreamTimeout) as error:
            if not x.presence.gone.is_set():
                attempt.error = error.message
                ticket.failed()
                raise
            attempt.error = "stopped: the client left"
        except GuardrailBlocked:
            ticket.answered()  # the provider did nothing wrong
            raise
        except PlatformError as error:
            attempt.error = error.message
            ticket.failed()
            raise
        else:
            ticket.answered()
        finally:
            ticket.given_up()
            _finish(x, attempt)
            await response.close()

    def _watch_client(self, x: Exchange, response: Response, route: Route) -> None:
        """Stop reading when the client leaves: at once, or once the drain time is over, by the channel's
        policy."""
        loop = asyncio.get_running_loop()

        def left() -> None:
            x.note(self.name, "client.left", policy=route.on_disconnect)
            if route.on_disconnect == "cancel":
                response.abort()
            else:
                loop.call_later(self._drain_s, response.abort)

        x.presence.when_gone(left)

    async def _checkpoint(self, x: Exchange, response: Response, attempt: Attempt) -> None:
        """Note how far the stream has come: what is charged if this process dies in the middle."""
        if x.hold_id is not None:
            told = min(estimate_tokens(x.text()), x.max_output_tokens * x.call.choices)
            request_id = response.headers.get("x-request-id")
            await self._ledger.progress(Progress(x.hold_id, told, attempt.route.channel_id, request_id))

    async def _answering(self, x: Exchange) -> tuple[Response, Attempt, Ticket]:
        """Return the first answer with status 200; if the model has none, that of the next fallback."""
        if not x.fallbacks:
            return await self._ask(x, x.routes)
        waiting, routes = list(x.fallbacks), x.routes
        while True:
            try:
                if not self._router.is_open(routes) and any(
                    fallback.if_unavailable and self._router.is_open(fallback.routes) for fallback in waiting
                ):
                    raise self._busy(routes)
                return await self._ask(x, routes)
            except PlatformError as error:
                fallback = next_after(waiting, error)
                if fallback is None or x.presence.gone.is_set():
                    raise
                await self._turn(x, fallback, error)
            waiting.remove(fallback)
            routes = fallback.routes

    async def _turn(self, x: Exchange, fallback: Fallback, error: PlatformError) -> None:
        """Make the call one of a fallback's, books first; raises `error` if they cannot be turned now."""
        if x.hold_id is None or fallback.price is None:
            raise error
        try:
            await self._turner.turn(x.hold_id, fallback.model, fallback.price.id)
        except PlatformError:
            raise error from None
        x.price, x.max_output_tokens = fallback.price, fallback.max_output_tokens
        x.fell_back_to = fallback.model
        x.note(
            self.name,
            "upstream.fell_back",
            model=fallback.model,
            because=error.message,
            price_version=fallback.price.id,
        )

    async def _ask(self, x: Exchange, routes: Sequence[Route]) -> tuple[Response, Attempt, Ticket]:
        """Return the first answer with status 200, trying routes as the router chooses."""
        last: PlatformError | None = None
        tried: list[Route] = []
        for number in range(MAX_TRIES):
            route = self._router.choose(routes, tried)
            if route is None:
                break
            if route in tried:
                await asyncio.sleep(RETRY_WAIT_S * number)
            tried.append(route)
            attempt = Attempt(route, x.clock.now(), x.clock.monotonic_ns())
            x.attempts.append(attempt)
            ticket = self._router.begin(route, retry=number > 0)
            try:
                response = await self._post(x, route)
                attempt.status = response.status
                if response.status == 200:
                    return response, attempt, ticket
                last = await _refusal(response)
                attempt.error = last.message
                retry = response.status in RETRY_STATUS or response.status in CREDENTIAL_STATUS
                if retry:
                    ticket.failed(_retry_after_s(response))
                else:
                    ticket.answered()
            except (UpstreamUnavailable, UpstreamTimeout) as error:
                last, retry = error, True
                attempt.error = error.message
                ticket.failed()
            except Untranslatable as error:
                ticket.given_up()
                attempt.error = error.message
                last, retry = error, any(other not in tried for other in routes)
            except BaseException:
                ticket.given_up()
                raise
            _finish(x, attempt)
            if not retry or x.presence.gone.is_set():
                break
        raise last or self._busy(routes)

    def _busy(self, routes: Sequence[Route]) -> ChannelsBusy:
        return ChannelsBusy(headers={"retry-after": str(self._router.wait_s(routes))})

    async def _post(self, x: Exchange, route: Route) -> Response:
        reach("call.before_send")
        operation = x.call.operation
        if operation is None:
            path, headers, body = request_for(x, route)
        else:
            path, headers, body = operation_request(operation, x, route)
        sending = self._client.post(route, path, body, headers)
        if route.on_disconnect == "drain":
            return await sending
        return await _unless_gone(x, sending)


async def _unless_gone(x: Exchange, work: Awaitable[Result]) -> Result:
    """Await `work`, but stop it and raise ClientLeft if the client leaves first."""
    task = asyncio.ensure_future(work)
    x.presence.when_gone(task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        if x.presence.gone.is_set() and task.cancelled():
            raise ClientLeft from None
        task.cancel()
        raise


def _retry_after_s(response: Response) -> float | None:
    """Return how long a provider asks to be left alone, if it says so in seconds (RFC 9110, 10.2.3)."""
    text = response.headers.get("retry-after", "")
    return float(text) if response.status in {429, 529} and text.isdigit() and len(text) < 8 else None


async def _refusal(response: Response) -> PlatformError:
    """Return what an answer other than 200 means for our caller."""
    payload = b""
    try:
        async for chunk in response.chunks():
            payload += chunk
            if len(payload) > MAX_ERROR_BYTES:
                break
    finally:
        await response.close()
    if response.status in CREDENTIAL_STATUS:
        return UpstreamUnavailable(
            "The provider refused this platform's own credential; an operator must look."
        )
    if response.status in RETRY_STATUS:
        after = response.headers.get("retry-after")
        return UpstreamUnavailable(
            f"The provider is unavailable ({response.status}): {error_message(payload)}",
            headers={"retry-after": after} if after is not None and after.isdigit() else {"retry-after": "5"},
        )
    if 400 <= response.status < 500:
        return rejected(response.status, payload)
    return UpstreamError(f"The provider answered {response.status}: {error_message(payload)}")


async def _stream(x: Exchange, response: Response, attempt: Attempt) -> AsyncIterator[bytes]:
    if "event-stream" not in response.headers.get("content-type", ""):
        raise UpstreamError("The provider did not answer with an event stream.")
    scanner = SseScanner()
    reader = (GuardedReader if x.output_guards else StreamReader)(x, attempt.route)
    done = finished = False
    async for chunk in response.chunks():
        _received(x, attempt, chunk)
        frames: list[bytes] = []
        fault: PlatformError | None = None
        try:
            for event in scanner.feed(chunk):
                if event.data == b"[DONE]":
                    done = True
                elif event.data:
                    finished |= reader.take(event, frames)
        except PlatformError as error:
            fault = error
        if frames:  # what came in one piece with a fault is delivered: it is charged
            yield b"".join(frames)
        if fault is not None:
            raise fault
    rest = scanner.finish()
    if rest is not None and rest.data != b"[DONE]":
        frames = []
        finished |= reader.take(rest, frames)
        for frame in frames:
            yield frame.rstrip(b"\r\n") + b"\n\n"
    if x.output_guards:
        frames = []
        reader.end(frames)
        if frames:
            yield b"".join(frames)
    if not (done or finished or rest is not None):
        raise UpstreamError("The provider's stream broke off before its end.")


async def _whole(x: Exchange, response: Response, attempt: Attempt) -> None:
    parts: list[bytes] = []
    async for chunk in response.chunks():
        _received(x, attempt, chunk)
        parts.append(chunk)
        if attempt.response_bytes > MAX_ANSWER_BYTES:
            raise UpstreamError("The provider's answer is larger than this server accepts.")
    if x.call.operation is not None:
        read_operation(x.call.operation, x, b"".join(parts))
    else:
        read_whole(x, attempt.route, b"".join(parts))
        if x.output_guards:
            guard_whole(x)


async def _noted(x: Exchange, response: Response, attempt: Attempt) -> AsyncIterator[bytes]:
    async for chunk in response.chunks():
        _received(x, attempt, chunk)
        yield chunk


def _received(x: Exchange, attempt: Attempt, chunk: bytes) -> None:
    if attempt.first_byte_ms is None:
        attempt.first_byte_ms = (x.clock.monotonic_ns() - attempt.started_ns) // 1000 / 1000
    attempt.response_bytes += len(chunk)


def _finish(x: Exchange, attempt: Attempt) -> None:
    elapsed = x.clock.monotonic_ns() - attempt.started_ns
    attempt.duration_ms = elapsed // 1000 / 1000
    x.note(
        UpstreamCall.name,
        "upstream.failed" if attempt.error else "upstream.answered",
        duration_ns=elapsed,
        channel=attempt.route.channel_name,
        status=attempt.status,
    )
