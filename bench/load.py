"""Load generators. Closed loop: N keep-alive connections, each sends its next call when the last is whole.
Steady: so many calls a second, whatever becomes of them; latency counts from when a call was due.

Every status and every byte of every body is checked; a wrong one ends its connection and is reported.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import cast

import httptools
import uvloop


@dataclass(frozen=True, slots=True)
class Target:
    """Where to send what, and what must come back; None where another proxy writes answers of its own, and
    only the status can be looked at."""

    port: int
    path: str
    credential: str
    body: bytes
    expected: bytes | None

    def request(self) -> bytes:
        """Return the request as it goes over the wire."""
        head = (
            f"POST {self.path} HTTP/1.1\r\nhost: 127.0.0.1:{self.port}\r\n"
            f"authorization: Bearer {self.credential}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(self.body)}\r\n\r\n"
        )
        return head.encode() + self.body


@dataclass(slots=True)
class Result:
    """What came of a run. Latencies are whole calls; first bytes are of the body."""

    seconds: float = 0.0
    latencies_ns: list[int] = field(default_factory=list)
    first_bytes_ns: list[int] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def calls(self) -> int:
        """How many calls came back whole and right."""
        return len(self.latencies_ns)


class _Connection(asyncio.Protocol):
    """One simulated client."""

    def __init__(
        self, target: Target, result: Result, deadline_ns: int, idle: list[_Connection] | None = None
    ) -> None:
        """Call in a loop until the deadline; or, given `idle`, only when told to, and wait in it."""
        self._idle = idle
        self.ended = asyncio.get_running_loop().create_future()
        self._target, self._result, self._deadline_ns = target, result, deadline_ns
        self._request = target.request()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._parser = httptools.HttpResponseParser(self)
        if self._idle is None:
            self.send(time.perf_counter_ns())

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        if not self._parts:
            self._first_ns = time.perf_counter_ns()
        self._parts.append(body)

    def on_message_complete(self) -> None:
        now = time.perf_counter_ns()
        body = b"".join(self._parts)
        status = self._parser.get_status_code()
        if status != 200 or self._target.expected not in {None, body}:
            return self.end(f"status {status}, body {body[:300]!r}")
        self._result.latencies_ns.append(now - self._sent_ns)
        self._result.first_bytes_ns.append(self._first_ns - self._sent_ns)
        if self._idle is not None:
            return self._idle.append(self)
        return self.send(time.perf_counter_ns()) if now < self._deadline_ns else self.end()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._idle is not None and self in self._idle:
            self._idle.remove(self)
        self.end(f"the connection was closed in the middle of a call: {exc}")

    def send(self, since_ns: int) -> None:
        """Send a call whose latency counts from `since_ns`."""
        self._parts: list[bytes] = []
        self._first_ns = 0
        self._sent_ns = since_ns
        self._transport.write(self._request)

    def end(self, fault: str | None = None) -> None:
        """Close the connection, and say why if something was wrong."""
        if self.ended.done():
            return
        if fault is not None:
            self._result.faults.append(fault)
        self.ended.set_result(None)
        self._transport.close()


async def _run(target: Target, concurrency: int, seconds: float) -> Result:
    loop = asyncio.get_running_loop()
    result = Result()
    started_ns = time.perf_counter_ns()
    deadline_ns = started_ns + int(seconds * 1e9)
    connections = [
        (
            await loop.create_connection(
                lambda: _Connection(target, result, deadline_ns), "127.0.0.1", target.port
            )
        )[1]
        for _ in range(concurrency)
    ]
    await asyncio.wait([connection.ended for connection in connections], timeout=seconds + 30)
    if not all(connection.ended.done() for connection in connections):
        result.faults.append("a call did not end within 30 s")
    result.seconds = (time.perf_counter_ns() - started_ns) / 1e9
    result.latencies_ns.sort()
    result.first_bytes_ns.sort()
    return result


async def _run_steadily(target: Target, per_s: int, seconds: float) -> Result:
    loop = asyncio.get_running_loop()
    result, idle, started = Result(), list[_Connection](), loop.time()
    opened: list[_Connection] = []
    for number in range(int(per_s * seconds)):
        due = started + number / per_s
        await asyncio.sleep(max(0.0, due - loop.time()))
        due_ns = time.perf_counter_ns() - int((loop.time() - due) * 1e9)
        if idle:
            idle.pop().send(due_ns)
        else:
            _, connection = await loop.create_connection(
                lambda: _Connection(target, result, 0, idle), "127.0.0.1", target.port
            )
            opened.append(connection)
            connection.send(due_ns)
    for _ in range(300):
        if len(idle) + sum(connection.ended.done() for connection in opened) >= len(opened):
            break
        await asyncio.sleep(0.1)
    else:
        result.faults.append("a call did not end within 30 s")
    result.seconds = loop.time() - started
    for connection in idle:
        connection.end()
    result.latencies_ns.sort()
    result.first_bytes_ns.sort()
    return result


def drive_steadily(target: Target, per_s: int, seconds: float) -> Result:
    """Send `per_s` calls a second for `seconds`, over as many kept connections as that takes."""
    return uvloop.run(_run_steadily(target, per_s, seconds))


def drive(target: Target, concurrency: int, seconds: float) -> Result:
    """Load `target` for `seconds`; calls under way at the end are waited for."""
    return uvloop.run(_run(target, concurrency, seconds))
