"""Reading a stream as a client would, with nothing borrowed from the server's own code."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.support.live import Live, as_


@dataclass
class Heard:
    """A stream that was read to its end. `events` are (name, data) in order."""

    status: int
    headers: dict[str, str]
    events: list[tuple[str, str]] = field(default_factory=list)
    body: str = ""

    @property
    def done(self) -> bool:
        """Whether the stream said that the answer is complete."""
        return ("", "[DONE]") in self.events

    @property
    def errors(self) -> list[dict[str, Any]]:
        """The error objects in the stream."""
        return [json.loads(data)["error"] for name, data in self.events if name == "error"]

    @property
    def chunks(self) -> list[dict[str, Any]]:
        """The chunks, without errors and the end mark."""
        return [json.loads(data) for name, data in self.events if name == "" and data != "[DONE]"]

    @property
    def text(self) -> str:
        """What the model said."""
        parts = [c["delta"].get("content") or "" for chunk in self.chunks for c in chunk["choices"]]
        return "".join(parts)

    @property
    def usage(self) -> dict[str, Any] | None:
        """The usage of the last chunk that states one."""
        stated = [chunk["usage"] for chunk in self.chunks if chunk.get("usage")]
        return stated[-1] if stated else None


def parse_events(body: str) -> list[tuple[str, str]]:
    """Return (name, data) of each event; comments are left out."""
    found: list[tuple[str, str]] = []
    for block in body.split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        name = next((line[7:] for line in lines if line.startswith("event: ")), "")
        if lines:
            found.append((name, "\n".join(line[6:] for line in lines if line.startswith("data: "))))
    return found


def listen(live: Live, model: str, text: str, key: str | None = None, **fields: Any) -> Heard:
    """Make a streamed chat call and read it to its end."""
    body = {"model": model, "messages": [{"role": "user", "content": text}], "stream": True, **fields}
    with live.http.stream(
        "POST", "/v1/chat/completions", json=body, headers=as_(key or live.api_key)
    ) as response:
        text = response.read().decode()
    return Heard(response.status_code, dict(response.headers), parse_events(text), text)


def eventually(check: Callable[[], Any], within_s: float = 5.0) -> Any:
    """Return what `check` returns once that is true; fail if it is not in time."""
    deadline = time.monotonic() + within_s
    while True:
        found = check()
        if found:
            return found
        assert time.monotonic() < deadline, f"not true within {within_s} s"
        time.sleep(0.02)
