"""One connection to a provider, one request at a time (RFC 9112)."""

from __future__ import annotations

import asyncio
import select
from typing import Protocol, cast

import httptools

from deepspace.upstream.errors import UpstreamUnavailable
from deepspace.upstream.http.answer import Answer
from deepspace.upstream.http.head import Origin

READ_BYTES = 64 * 1024
MAX_HEAD_BYTES = 64 * 1024
"""Of the head of an answer with its interim answers, and of its trailers."""

KEEP_S = 30.0
"""How long a connection is kept without a request. Providers keep theirs for a minute or more; one that is
quicker to close says so by `keep-alive: timeout=`, or is seen to have closed."""

_BROKE = "The connection to the provider broke before the answer's end."
_NO_HTTP = "The provider's answer is not valid HTTP."


class Owner(Protocol):
    """What a connection tells the pool."""

    read_buffer: memoryview

    def give_back(self, connection: Connection) -> None:
        """The connection can serve another request."""
        ...

    def forget(self, connection: Connection) -> None:
        """The connection is gone."""
        ...


class Connection(asyncio.BufferedProtocol):
    """Sends requests and feeds their answers.

    All connections read into the one buffer of their pool: what is read is parsed before anything else runs.
    One timer a connection watches over the time: it is moved only when the new time is earlier, and looks
    again when it fires early. So a call that goes well sets no timer at all.
    """

    def __init__(self, owner: Owner, origin: Origin) -> None:
        """Wait for the transport."""
        self.origin = origin
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._answer: Answer | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due = self._fires_at = float("inf")
        self._keep_s = KEEP_S
        self._lost = False
        self._reset()

    # what the pool and the client do

    def is_fresh(self) -> bool:
        """Tell whether a kept connection can be used: the provider has neither closed it nor said anything
        that was not asked for. Looked up in the kernel: the loop may not have come to it yet."""
        return not (self._lost or self._transport.is_closing() or self._poll.poll(0))

    def send(self, request: bytes, answer: Answer) -> None:
        """Send a request whose answer is to be fed to `answer`."""
        self._answer = answer
        self._reset()
        answer.sent_on(self)
        self._transport.write(request)

    def expect_by(self, due: float) -> None:
        """See answer.Line."""
        self._due = due
        if due < self._fires_at:
            if self._timer is not None:
                self._timer.cancel()
            self._fires_at = due
            self._timer = self._loop.call_at(due, self._on_timer)

    def pause(self) -> None:
        """See answer.Line."""
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        """See answer.Line."""
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def abort(self) -> None:
        """See answer.Line."""
        self._answer = None
        self._transport.abort()

    # what the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast("asyncio.Transport", transport)
        self._parser = httptools.HttpResponseParser(self)
        self._poll = select.poll()
        # Under TLS the provider may send records of its own, such as session tickets.
        events = select.POLLRDHUP | (0 if self.origin.tls else select.POLLIN)
        self._poll.register(transport.get_extra_info("socket").fileno(), events)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Lend the pool's buffer to the transport."""
        return self._owner.read_buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Parse what was read; the parser calls the `on_` methods below."""
        if self._answer is None:
            return self._transport.abort()  # it speaks without having been asked
        if not self._has_head:
            self._head_bytes += nbytes
        try:
            self._parser.feed_data(self._owner.read_buffer[:nbytes])
        except httptools.HttpParserUpgrade:
            self._pass_on()
            return self._give_up(UpstreamUnavailable(_NO_HTTP))
        except httptools.HttpParserError:
            if self._is_complete:
                self._reusable = False  # the answer is whole; what follows it is not HTTP
            else:
                self._pass_on()
                return self._give_up(UpstreamUnavailable(_NO_HTTP))
        self._pass_on()
        if self._is_complete:
            return self._finish()
        if not self._has_head and self._head_bytes > MAX_HEAD_BYTES:
            self._give_up(UpstreamUnavailable("The head of the provider's answer is too large."))
        return None

    def eof_received(self) -> None:
        """End an answer that lasts until the provider closes (RFC 9112, 6.3, rule 8)."""
        if self._answer is not None and self._has_head and not self._is_delimited:
            answer, self._answer = self._answer, None
            answer.end()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits, and the pool."""
        self._lost = True
        if self._timer is not None:
            self._timer.cancel()
        if self._answer is not None:
            answer, self._answer = self._answer, None
            answer.fail(UpstreamUnavailable(_BROKE))
        self._owner.forget(self)

    # what the parser calls

    def on_message_begin(self) -> None:
        """See that no second answer follows the one that was asked for."""
        if self._is_complete:
            self._reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header field. Those of an interim answer and of the trailers are only counted."""
        size = len(name) + len(value)
        self._field_bytes += size
        if self._field_bytes > MAX_HEAD_BYTES:
            raise ValueError("the head is too large")
        if not self._has_head:
            self._fields.append((name, value))
            self._note_framing(name, value)

    def on_headers_complete(self) -> None:
        """Give the head to the answer; pass over an interim one (RFC 9110, 15.2)."""
        if self._is_complete or self._answer is None:
            return
        status = self._parser.get_status_code()
        if status < 200:
            self._fields = []
            return
        self._has_head = True
        self._answer.begin(status, self._fields)

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body. What was read at once is passed on at once: a stream's events are a part
        each."""
        if not self._is_complete:
            self._parts.append(body)

    def on_message_complete(self) -> None:
        """Note that the answer is whole; it is finished once all that was read is parsed."""
        if self._has_head and not self._is_complete:
            self._is_complete = True
            self._reusable = self._parser.should_keep_alive()

    def _pass_on(self) -> None:
        if self._parts:
            data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
            self._parts.clear()
            if self._answer is not None:
                self._answer.put(data)

    def _reset(self) -> None:
        self._parts: list[bytes] = []
        self._fields: list[tuple[bytes, bytes]] = []
        self._head_bytes = self._field_bytes = 0
        self._has_head = self._is_delimited = self._is_complete = False
        self._reusable = True

    def _note_framing(self, name: bytes, value: bytes) -> None:
        size = len(name)
        if size == 14 and name.lower() == b"content-length":
            self._is_delimited = True
        elif size == 17 and name.lower() == b"transfer-encoding":
            self._is_delimited = True
            if value.strip().lower() != b"chunked":
                raise ValueError("a transfer coding that was not asked for")
        elif size == 10 and name.lower() == b"keep-alive":
            self._keep_s = _keep_s(value)

    def _finish(self) -> None:
        answer, self._answer = self._answer, None
        if self._reusable and not self._transport.get_write_buffer_size():
            self.resume()  # a reader may still be busy with what has come
            self.expect_by(self._loop.time() + self._keep_s)
            self._owner.give_back(self)
        else:
            self._transport.abort()
        if answer is not None:
            answer.end()

    def _give_up(self, error: UpstreamUnavailable) -> None:
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.fail(error)
        self._transport.abort()

    def _on_timer(self) -> None:
        self._timer, self._fires_at = None, float("inf")
        if self._loop.time() < self._due:
            return self.expect_by(self._due)
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.expire()
        return self._transport.abort()


def _keep_s(value: bytes) -> float:
    """Return how long to keep a connection whose provider said `timeout=5`: a second less."""
    for part in value.lower().split(b","):
        name, _, seconds = part.strip().partition(b"=")
        if name == b"timeout" and seconds.isdigit():
            return min(KEEP_S, max(0.0, int(seconds[:6]) - 1.0))
    return KEEP_S
