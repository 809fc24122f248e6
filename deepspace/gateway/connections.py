"""Connections that cost more than they bring: who sends too slowly, who does not read, who is one too many.

Nothing of it runs for a request: a round every second looks at what the connections noted of themselves.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from deepspace.kit.log import get_logger

log = get_logger(__name__)

ROUND_S = 1.0
HEAD_S = 15.0
"""How long the head of a request may take, from the first byte, or from the connection."""

OWN_FILES = 96
"""Open files that a gateway needs beside its clients' and its providers' connections."""


class Client(Protocol):
    """What a connection knows of itself. Times are of the loop's clock; None: it waits for nothing."""

    awaits_head_since: float | None
    stuck_since: float | None

    @property
    def awaits_body_since(self) -> float | None:
        """Since when the request is incomplete whose head has come."""
        ...

    def drop(self) -> None:
        """Close at once."""
        ...


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds that a client may take: for a whole request, and to read something of what is written."""

    request_s: float
    write_s: float


def is_too_slow(client: Client, now: float, patience: Patience) -> bool:
    """Tell whether a connection has used up its time."""
    return (
        _is_over(client.awaits_head_since, now, min(HEAD_S, patience.request_s))
        or _is_over(client.awaits_body_since, now, patience.request_s)
        or _is_over(client.stuck_since, now, patience.write_s)
    )


def _is_over(since: float | None, now: float, allowed_s: float) -> bool:
    return since is not None and now - since > allowed_s


async def drop_slow(clients: Iterable[Client], patience: Patience) -> None:
    """Look at all connections every second, for ever; drop those that are too slow."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(min(ROUND_S, patience.request_s / 2, patience.write_s / 2))
        now = loop.time()
        slow = [client for client in list(clients) if is_too_slow(client, now, patience)]
        for client in slow:
            client.drop()
        if slow:
            log.warning("slow connections dropped", connections=len(slow))


def connections_allowed(configured: int | None) -> int:
    """Return how many clients' connections a process may have: as set, or so many that with as many to
    providers the limit of open files is not reached."""
    if configured is not None:
        return configured
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(16, (files - OWN_FILES) * 2 // 5)
