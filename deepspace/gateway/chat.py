"""A chat call over HTTP, in any dialect: parse → pipeline → encode."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from urllib.parse import quote

from deepspace.accounts.authenticator import Authenticator
from deepspace.accounts.scopes import Surface
from deepspace.billing.ledger import StoredAnswer
from deepspace.gateway.asgi import AnswerBroken, Receive, Scope, Send, header, read_body, send_whole
from deepspace.gateway.dialect import Dialect, InvalidRequest
from deepspace.gateway.server import on_departure
from deepspace.kit.clock import Clock
from deepspace.kit.money import decimal_from_nano
from deepspace.pipeline.delivery import Delivery
from deepspace.pipeline.exchange import Exchange
from deepspace.pipeline.runner import Pipeline

HEARTBEAT_S = 15.0
_REFERENCE = re.compile(r"\A[A-Za-z0-9_.:/+=-]{1,200}\Z")


class ChatEndpoint:
    """The endpoint of a dialect."""

    def __init__(
        self,
        dialect: Dialect,
        pipeline: Pipeline,
        authenticator: Authenticator,
        clock: Clock,
        max_body_bytes: int,
        surface: Surface = "chat",
    ) -> None:
        """Run calls in this dialect through this pipeline; an API key must be for `surface`."""
        self._surface: Surface = surface
        self._dialect = dialect
        self._pipeline = pipeline
        self._authenticator = authenticator
        self._clock = clock
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; refusals are raised, failures after the first frame are events in the
        stream."""
        started_ns, started_at = self._clock.monotonic_ns(), self._clock.now()
        credential = self._dialect.credential(scope)
        address: str = scope["state"]["client_ip"]
        principal = await self._authenticator.principal(credential, self._surface, address)  # before the body
        call = self._dialect.parse(await read_body(scope, receive, self._max_body_bytes), scope)
        x = Exchange(
            trace_id=scope["state"]["trace_id"],
            path=scope["path"],
            credential=credential,
            wanted_project=header(scope, b"x-deepspace-project"),
            call=call,
            clock=self._clock,
            started_at=started_at,
            started_ns=started_ns,
            encoder=self._dialect.encoder(),
            reference=_reference(scope),
            clamp=header(scope, b"x-deepspace-clamp") == "affordable",
            client_ip=address,
            principal=principal,
        )
        delivery = self._pipeline.start(x)
        try:
            with _watching(scope, receive, x):
                if call.stream:
                    await _send_stream(x, delivery, send, self._dialect.heartbeat)
                else:
                    await delivery.started()
                    await _send_json(x, delivery, send)
        finally:
            if not delivery.settled:
                x.presence.leave()


def _reference(scope: Scope) -> str | None:
    """Return the client's reference for the call, by which a retry is known; InvalidRequest if it is
    unusable."""
    text = header(scope, b"idempotency-key") or header(scope, b"x-billing-ref-id")
    if text is None:
        return None
    if not _REFERENCE.match(text) or text.startswith("br_"):
        raise InvalidRequest(
            "A reference has 1 to 200 letters, digits and -_.:/+= and does not begin with 'br_'.",
            param="idempotency-key",
        )
    return text


@contextmanager
def _watching(scope: Scope, receive: Receive, x: Exchange) -> Generator[None]:
    """Note when the client goes away. On a server other than ours it takes a task to know."""
    with on_departure(scope, x.presence.leave) as is_told:
        watcher = None if is_told else asyncio.create_task(_watch(receive, x))
        try:
            yield
        finally:
            if watcher is not None:
                watcher.cancel()


async def _watch(receive: Receive, x: Exchange) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    x.presence.leave()


def _headers(x: Exchange, *, with_cost: bool = True) -> list[tuple[bytes, bytes]]:
    headers = [(name.encode(), value.encode()) for name, value in x.rate_headers.items()]
    if x.billing_ref_id is not None:
        headers.append((b"x-billing-ref-id", x.billing_ref_id.encode()))
    if with_cost and x.cost_nano is not None:
        headers.append((b"x-cost", decimal_from_nano(x.cost_nano).encode()))
    if x.fell_back_to is not None:
        headers.append((b"x-deepspace-model", quote(x.fell_back_to, safe="/:@+").encode()))
    if x.clamped_to is not None:
        headers.append((b"x-deepspace-clamped", f"max_tokens={x.clamped_to}".encode()))
    if x.replay is not None:
        headers.append((b"idempotent-replayed", b"true"))
    return headers


def _raise_refusal(x: Exchange, delivery: Delivery) -> None:
    """Raise what refused the call, if anything did; how its limits stand is told then too."""
    if delivery.refusal is not None:
        delivery.refusal.headers = {**x.rate_headers, **delivery.refusal.headers}
        raise delivery.refusal


async def _send_replay(x: Exchange, answer: StoredAnswer, send: Send) -> None:
    """Answer again what was answered before, byte for byte."""
    headers = [(b"cache-control", b"no-store"), *_headers(x)]
    await send_whole(send, answer.status, answer.body, answer.content_type.encode(), headers)


async def _send_json(x: Exchange, delivery: Delivery, send: Send) -> None:
    _raise_refusal(x, delivery)
    if x.replay is not None and x.replay.answer is not None:
        return await _send_replay(x, x.replay.answer, send)
    if x.answer is not None:
        content_type = (x.content_type or x.encoder.content_type).encode("latin-1")
        await send_whole(send, 200, x.encoder.whole(x), content_type, _headers(x))
    return None


async def _send_stream(x: Exchange, delivery: Delivery, send: Send, heartbeat: bytes) -> None:
    await delivery.started(HEARTBEAT_S if x.call.operation is None else None)  # its kind is not known before
    _raise_refusal(x, delivery)
    if x.replay is not None and x.replay.answer is not None:
        return await _send_replay(x, x.replay.answer, send)
    headers: Sequence[tuple[bytes, bytes]] = [
        (b"content-type", (x.content_type or "text/event-stream; charset=utf-8").encode("latin-1")),
        (b"cache-control", b"no-store"),
        (b"x-accel-buffering", b"no"),
        *_headers(x, with_cost=False),  # a short stream may have been counted by now, but is not on the books
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    async for frame in delivery.frames(HEARTBEAT_S):
        await send({"type": "http.response.body", "body": frame or heartbeat, "more_body": True})
    tail = x.encoder.tail(x, delivery.error)
    if delivery.error is not None and not tail:
        raise AnswerBroken  # the connection is closed short of its end: nothing else says so in bytes
    await send({"type": "http.response.body", "body": tail})
    return None
