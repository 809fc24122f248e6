"""Chunks of the inner language as events of the Messages API, one after the other."""

from __future__ import annotations

from typing import Any

import msgspec

from deepspace.gateway.anthropic.answer import message_id, stop_of, tool_use
from deepspace.kit.sse import encode_event
from deepspace.upstream.anthropic.words import JSON, object_of, objects_of


def event(kind: str, **fields: Any) -> bytes:
    """Write one event."""
    return encode_event(msgspec.json.encode({"type": kind, **fields}), kind.encode())


class EventsOfChunks:
    """Turns chunks into events.

    Text and thinking are one block at a time. Blocks of tools stay open to the end: servers may interleave
    the arguments of parallel calls, and a block that was closed cannot be opened again.
    """

    def __init__(self, input_tokens: int, fallback_id: str) -> None:
        """`input_tokens` is an estimate: the provider states the figure at the end."""
        self._input_tokens = input_tokens
        self._fallback_id = fallback_id
        self._started = False
        self._blocks = 0
        self._open: tuple[int, str] | None = None
        self._tools: dict[int, int] = {}
        self._reason: str = "end_turn"
        self._stop: str | None = None
        self._refused = False

    def take(self, data: bytes) -> bytes:
        """Return the events that a chunk becomes."""
        chunk = object_of(msgspec.json.decode(data))
        events: list[bytes] = [] if self._started else [self._start(chunk)]
        self._started = True
        for choice in objects_of(chunk.get("choices"))[:1]:
            delta = object_of(choice.get("delta"))
            thought = delta.get("reasoning_content") or delta.get("reasoning")
            if thought:
                self._say(events, "thinking", thought)
            self._refused |= bool(delta.get("refusal"))
            text = delta.get("content") or delta.get("refusal")
            if text:
                self._say(events, "text", text)
            for call in objects_of(delta.get("tool_calls")):
                self._call(events, call)
            if choice.get("finish_reason"):
                self._reason, self._stop = stop_of(choice, refused=self._refused)
        return b"".join(events)

    def end(self, usage: JSON) -> bytes:
        """Return the events that end the stream; changes nothing, so it can be asked twice."""
        events = [] if self._started else [self._start({})]
        still_open = [self._open[0]] if self._open is not None else []
        events += [event("content_block_stop", index=index) for index in (*still_open, *self._tools.values())]
        delta = {"stop_reason": self._reason, "stop_sequence": self._stop}
        events.append(event("message_delta", delta=delta, usage=usage))
        events.append(event("message_stop"))
        return b"".join(events)

    def _start(self, chunk: JSON) -> bytes:
        message: JSON = {
            "id": message_id(chunk.get("id") or self._fallback_id),
            "type": "message",
            "role": "assistant",
            "model": chunk.get("model"),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": self._input_tokens, "output_tokens": 0},
        }
        return event("message_start", message=message)

    def _say(self, events: list[bytes], kind: str, text: str) -> None:
        if self._open is None or self._open[1] != kind:
            self._close(events)
            empty: JSON = {"type": kind, kind: ""}
            if kind == "thinking":
                empty["signature"] = ""
            self._open = self._begin(events, empty), kind
        delta = {"type": f"{kind}_delta", kind: text}
        events.append(event("content_block_delta", index=self._open[0], delta=delta))

    def _call(self, events: list[bytes], call: JSON) -> None:
        number, function = int(call.get("index") or 0), object_of(call.get("function"))
        if number not in self._tools:
            self._close(events)
            call_id = call.get("id") or f"{self._fallback_id}_{number}"
            self._tools[number] = self._begin(events, tool_use(call_id, function.get("name")))
        arguments = function.get("arguments")
        if arguments:
            delta = {"type": "input_json_delta", "partial_json": arguments}
            events.append(event("content_block_delta", index=self._tools[number], delta=delta))

    def _begin(self, events: list[bytes], block: JSON) -> int:
        index = self._blocks
        self._blocks += 1
        events.append(event("content_block_start", index=index, content_block=block))
        return index

    def _close(self, events: list[bytes]) -> None:
        if self._open is not None:
            events.append(event("content_block_stop", index=self._open[0]))
            self._open = None
