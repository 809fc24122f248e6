"""The one traveller of the request path: everything known of a call, field by field as the steps learn it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import msgspec

from deepspace.accounts.principal import Principal
from deepspace.audit.entry import AuditEntry
from deepspace.billing.ledger import Capture, Release, Replay, UsageSource
from deepspace.billing.rates import Price, Usage
from deepspace.kit.clock import Clock
from deepspace.kit.errors import PlatformError
from deepspace.kit.sse import SseEvent
from deepspace.pipeline.operation import Operation
from deepspace.policy.admission import Ticket
from deepspace.policy.guardrails.port import ActiveGuard
from deepspace.upstream.catalogue import Dialect, Route
from deepspace.upstream.wire import read_answer


@dataclass(frozen=True, slots=True)
class ChatCall:
    """What the client asked. `fields` keeps every field of its `dialect` as the bytes that came; `headers` go
    along to a channel of the same dialect."""

    model: str
    stream: bool
    wants_usage: bool
    max_tokens: int | None
    choices: int
    body: bytes
    fields: Mapping[str, Any]
    dialect: Dialect = "openai"
    headers: tuple[tuple[str, str], ...] = ()
    operation: Operation | None = None
    """What a call that is no chat asks for."""


@dataclass(slots=True)
class Attempt:
    """One try at one channel."""

    route: Route
    started_at: datetime
    started_ns: int
    status: int | None = None
    error: str | None = None
    first_byte_ms: float | None = None
    duration_ms: float = 0.0
    response_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Fallback:
    """A model that may answer in place of the one asked for. Price, output limit and bound are pinned with
    the hold."""

    model: str
    routes: tuple[Route, ...]
    if_unavailable: bool
    if_too_long: bool
    price: Price | None = None
    max_output_tokens: int = 0
    bound_nano: int = 0


class TimelineEvent(msgspec.Struct, frozen=True):
    """Something that happened. Times are nanoseconds of the monotonic clock."""

    at_ns: int
    step: str
    event: str
    duration_ns: int | None
    detail: Mapping[str, Any]


class Presence:
    """Whether the client is still there. Leaving changes nothing about billing; it may end the upstream
    call."""

    __slots__ = ("_callbacks", "gone")

    def __init__(self) -> None:
        """The client is there."""
        self.gone = asyncio.Event()
        self._callbacks: list[Callable[[], object]] = []

    def leave(self) -> None:
        """Note, once, that the client has left."""
        if not self.gone.is_set():
            self.gone.set()
            for callback in self._callbacks:
                callback()

    def forget(self) -> None:
        """Let nobody be called any more: the call has ended. Who was to be called knows the call, so it would
        be a cycle that only the garbage collector can undo: a twentieth of a call's CPU."""
        self._callbacks.clear()

    def when_gone(self, callback: Callable[[], object]) -> None:
        """Call `callback` when the client leaves; at once if it has left."""
        self._callbacks.append(callback)
        if self.gone.is_set():
            callback()


class Encoder(Protocol):
    """The dialect's side of an answer. Called once the cost is decided and before the commit, if the answer
    is to be kept, and again when it is sent."""

    content_type: str

    def inner(self, call: ChatCall) -> Mapping[str, Any]:
        """Return the call's fields in the inner language; Untranslatable if it has no words for them."""
        ...

    def frame(self, x: Exchange, data: bytes) -> bytes:
        """Return what a chunk of the inner language is in this dialect: events, or nothing. Asked for each
        chunk in order, and only if the dialect is another one."""
        ...

    def whole(self, x: Exchange) -> bytes:
        """Return the body of a JSON answer."""
        ...

    def tail(self, x: Exchange, error: PlatformError | None) -> bytes:
        """Return the end of a stream: usage and the closing event, or an error event."""
        ...

    def error(self, x: Exchange, error: PlatformError) -> bytes:
        """Return the body of an error answer."""
        ...


@dataclass(slots=True)
class Exchange:
    """A call on its way. Each field is written by the step named above it and only read afterwards."""

    # the dialect's endpoint
    trace_id: str
    path: str
    credential: str | None
    wanted_project: str | None
    call: ChatCall
    clock: Clock
    started_at: datetime
    started_ns: int
    encoder: Encoder
    reference: str | None = None
    clamp: bool = False
    client_ip: str = ""
    presence: Presence = field(default_factory=Presence)

    # auth
    principal: Principal | None = None
    org_id: UUID | None = None
    project_id: UUID | None = None

    # rate_limit
    ticket: Ticket | None = None
    rate_headers: Mapping[str, str] = field(default_factory=dict[str, str])

    # policy
    routes: tuple[Route, ...] = ()
    fallbacks: tuple[Fallback, ...] = ()
    """Models that may answer instead; budget_hold prices them, and leaves out what it cannot."""
    guards: tuple[ActiveGuard, ...] = ()

    # guardrails; they may also put a request with masks in the place of `call`
    output_guards: tuple[ActiveGuard, ...] = ()

    # budget_hold; upstream_call writes price and max_output_tokens anew when it falls back
    price: Price | None = None
    hold_id: UUID | None = None
    billing_ref_id: str | None = None
    hold_nano: int = 0
    estimated_input_tokens: int = 0
    replay: Replay | None = None
    clamped_to: int | None = None
    max_output_tokens: int = 0

    # upstream_call
    attempts: list[Attempt] = field(default_factory=list[Attempt])
    answered_by: Route | None = None
    fell_back_to: str | None = None
    usage: Usage | None = None
    usage_event: bytes | None = None
    last_event: bytes | None = None
    is_native: bool = False
    """The answer is in the client's own dialect, not in the inner language."""
    held: list[SseEvent] = field(default_factory=list[SseEvent])
    """Events that end a native stream; they wait for the books."""
    delivered: list[str] = field(default_factory=list[str])
    unread: list[bytes] = field(default_factory=list[bytes])
    """Chunks of the inner language that were passed on and only add text; `text` reads them."""
    answer: bytes | None = None
    content_type: str | None = None
    """Of the answer to a call that is no chat, as the provider stated it."""

    # usage_capture
    settlement: Capture | Release | None = None
    charged_usage: Usage | None = None
    usage_source: UsageSource | None = None
    cost_nano: int | None = None

    # audit
    journal: Sequence[AuditEntry] = ()

    # the runner
    kept: list[bytes] | None = None
    error: PlatformError | None = None
    timeline: list[TimelineEvent] = field(default_factory=list[TimelineEvent])

    def text(self) -> str:
        """Return what was delivered so far, for counting: a chunk that cannot be read counts as it stands."""
        for chunk in self.unread:
            try:
                self.delivered.append(read_answer(chunk).text)
            except PlatformError:
                self.delivered.append(chunk.decode(errors="replace"))
        self.unread.clear()
        return "".join(self.delivered)

    def note(self, step: str, event: str, *, duration_ns: int | None = None, **detail: Any) -> None:
        """Add an event to the timeline."""
        self.timeline.append(TimelineEvent(self.clock.monotonic_ns(), step, event, duration_ns, detail))
