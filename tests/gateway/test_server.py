"""The server's side of a connection: writes leave together, departures are told of."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from deepspace.gateway.server import FLUSH_BYTES, CorkedTransport, Departures, on_departure


class Wire:
    """A transport that writes down what it is asked."""

    def __init__(self) -> None:
        self.said: list[bytes | str] = []
        self.closing = False

    def write(self, data: bytes) -> None:
        """Note a write."""
        self.said.append(data)

    def close(self) -> None:
        """Note the end."""
        self.said.append("close")
        self.closing = True

    def is_closing(self) -> bool:
        """Tell whether it has been closed."""
        return self.closing

    def get_extra_info(self, name: str) -> str:
        """Answer."""
        return name


def corked() -> tuple[CorkedTransport, Wire]:
    """Return a transport and its wire."""
    wire = Wire()
    return CorkedTransport(cast("Any", wire), asyncio.get_running_loop()), wire


async def test_what_is_written_in_one_turn_of_the_loop_leaves_at_once() -> None:
    transport, wire = corked()
    transport.write(b"head ")
    transport.write(b"body")
    assert wire.said == []
    await asyncio.sleep(0)
    transport.write(b"next")
    await asyncio.sleep(0)
    assert wire.said == [b"head body", b"next"]
    assert transport.get_extra_info("peername") == "peername"


async def test_much_does_not_wait_for_the_end_of_the_turn() -> None:
    transport, wire = corked()
    transport.write(b"x" * FLUSH_BYTES)
    assert wire.said == [b"x" * FLUSH_BYTES]


async def test_a_close_writes_what_waits_first_and_nothing_is_written_after_it() -> None:
    transport, wire = corked()
    transport.write(b"last")
    transport.close()
    transport.write(b"late")
    await asyncio.sleep(0)
    assert wire.said == [b"last", "close"]


def test_a_departure_is_told_to_those_within_and_at_once_to_those_who_come_after() -> None:
    departures = Departures()
    scope = {"extensions": {"deepspace.departures": departures}}
    told: list[str] = []
    with on_departure(scope, lambda: told.append("before")) as is_told:
        assert is_told
    with on_departure(scope, lambda: told.append("within")):
        departures.tell()
    with on_departure(scope, lambda: told.append("after")):
        assert told == ["within", "after"]


def test_another_server_cannot_tell() -> None:
    with on_departure({}, lambda: None) as is_told:
        assert not is_told
