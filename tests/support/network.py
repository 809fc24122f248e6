"""Tests reach loopback and Unix sockets, nothing else."""

from __future__ import annotations

import socket
from typing import Any

_connect = socket.socket.connect
_connect_ex = socket.socket.connect_ex


class OutsideNetwork(RuntimeError):
    """A test tried to leave the machine."""


def _check(address: Any) -> None:
    if (
        isinstance(address, tuple)
        and address[0] not in {"localhost", "::1"}
        and not str(address[0]).startswith("127.")
    ):
        raise OutsideNetwork(f"tests may not connect to {address[0]}")


def forbid_outside_network() -> None:
    """Make every connection to an address that is not loopback fail."""

    def connect(self: socket.socket, address: Any) -> None:
        _check(address)
        _connect(self, address)

    def connect_ex(self: socket.socket, address: Any) -> int:
        _check(address)
        return _connect_ex(self, address)

    socket.socket.connect = connect  # type: ignore[method-assign]
    socket.socket.connect_ex = connect_ex  # type: ignore[method-assign]
