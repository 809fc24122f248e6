"""Server-sent events, read from a byte stream cut anywhere.

Source: WHATWG HTML, section 9.2 "Server-sent events". Lines end in LF, CRLF or CR, a blank line ends an
event, `data` lines join by LF, comment lines begin with a colon, a leading BOM is dropped.
"""

from __future__ import annotations

import re

import msgspec

from deepspace.kit.errors import PlatformError

_EVENT_END = re.compile(rb"\r\n\r\n|\r\n\n|\r\n\r(?!\n)|\n\r\n|\n\n|\n\r(?!\n)|\r\r\n|\r\r")
_LINE_END = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"


class EventTooLarge(PlatformError):
    """The upstream sent an event larger than this server relays."""

    status = 502
    code = "upstream_error"


class SseEvent(msgspec.Struct, frozen=True, gc=False):
    """One event: `raw` is what came over the wire, terminator included; `data` is the joined payload."""

    raw: bytes
    data: bytes
    name: bytes


class SseScanner:
    """Cuts a byte stream into events without ever re-serialising them."""

    __slots__ = ("_buffer", "_max_bytes", "_scanned", "_started")

    def __init__(self, max_event_bytes: int = 4 * 1024 * 1024) -> None:
        """Refuse (EventTooLarge) an event of more than `max_event_bytes`."""
        self._buffer = b""
        self._scanned = 0
        self._started = False
        self._max_bytes = max_event_bytes

    def feed(self, chunk: bytes) -> list[SseEvent]:
        """Take the next bytes and return the events that are complete by now."""
        if not self._buffer and _is_plain(chunk) and (self._started or not chunk.startswith(_BOM)):
            self._started = True
            return [
                SseEvent(part + b"\n\n", part[6:], b"")  # nearly every event of every provider
                if part.startswith(b"data: ") and b"\n" not in part
                else parse_event(part + b"\n\n")
                for part in chunk[:-2].split(b"\n\n")
            ]
        self._buffer += chunk
        if not self._started and not self._drop_bom():
            return []
        events: list[SseEvent] = []
        start = 0
        while True:
            match = _EVENT_END.search(self._buffer, max(start, self._scanned - 4))
            if match is None or (match.end() == len(self._buffer) and match[0].endswith(b"\r")):
                # A lone CR at the very end may be the first half of CRLF: wait for the next byte.
                break
            events.append(parse_event(self._buffer[start : match.end()]))
            start = match.end()
            self._scanned = start
        self._buffer = self._buffer[start:]
        self._scanned = len(self._buffer)
        if len(self._buffer) > self._max_bytes:
            raise EventTooLarge
        return events

    def finish(self) -> SseEvent | None:
        """Return what stands in the buffer at the end of the stream: an event whose blank line is missing."""
        rest, self._buffer, self._scanned = self._buffer, b"", 0
        event = parse_event(rest) if rest.strip() else None
        return event if event is not None and event.data else None

    def _drop_bom(self) -> bool:
        if len(self._buffer) < len(_BOM) and _BOM.startswith(self._buffer):
            return False
        self._started = True
        self._buffer = self._buffer.removeprefix(_BOM)
        return True


def _is_plain(chunk: bytes) -> bool:
    """Tell whether a chunk is whole events with line feeds alone, as nearly every one of every provider
    is."""
    return chunk.endswith(b"\n\n") and b"\r" not in chunk and b"\n\n\n" not in chunk


def parse_event(raw: bytes) -> SseEvent:
    """Read the fields of one event."""
    data: list[bytes] = []
    name = b""
    for line in _LINE_END.split(raw):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value
    return SseEvent(raw, b"\n".join(data), name)


def encode_event(data: bytes, name: bytes = b"") -> bytes:
    """Write one event; `data` must have no line ends of its own."""
    head = b"event: " + name + b"\n" if name else b""
    return head + b"data: " + data + b"\n\n"
