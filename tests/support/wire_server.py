"""A server that a test writes byte by byte, on a thread and an event loop of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextmanager
def wire_server(serve: Serve) -> Iterator[int]:
    """Serve every connection to a free port of the loopback with `serve`; yields the port. What is still
    being served at the end is cancelled."""
    ready = threading.Event()
    started: list[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def run() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        stopped = asyncio.Event()
        started.append((server.sockets[0].getsockname()[1], asyncio.get_running_loop(), stopped))
        ready.set()
        await stopped.wait()
        server.close()
        mine = asyncio.current_task()
        serving = [task for task in asyncio.all_tasks() if task is not mine]
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        await asyncio.sleep(0.02)  # what was closed is closed

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    assert ready.wait(5), "the server did not start"
    [(port, loop, stopped)] = started
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(stopped.set)
        thread.join(5)
