"""Events of the Messages API as chunks of the inner language, one after the other."""

from __future__ import annotations

from typing import Any

import msgspec

from deepspace.upstream.anthropic.answer import chat_usage
from deepspace.upstream.anthropic.words import FINISH_REASONS, JSON, object_of
from deepspace.upstream.errors import UpstreamError


def read_event(data: bytes) -> JSON:
    """Return an event as an object; UpstreamError if it is none."""
    try:
        return object_of(msgspec.json.decode(data))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UpstreamError("The provider's answer is not valid JSON.") from None


class UsageSum:
    """The usage of a stream: `message_start` states what went in, `message_delta` the totals so far."""

    __slots__ = ("_stated",)

    def __init__(self) -> None:
        """Nothing is stated yet."""
        self._stated: JSON = {}

    def add(self, usage: Any) -> None:
        """Take the figures of an event; a later one stands for an earlier one, and null for none."""
        self._stated |= {name: figure for name, figure in object_of(usage).items() if figure is not None}

    def chat(self) -> JSON | None:
        """Return the usage in the inner language, if it is known."""
        return chat_usage(self._stated)


class ChunksOfEvents:
    """Turns events into chunks. State: the message's name, the calls of tools so far, usage."""

    def __init__(self, created: int) -> None:
        """`created` is in seconds since 1970."""
        self._head: JSON = {"id": "", "object": "chat.completion.chunk", "created": created, "model": ""}
        self._usage = UsageSum()
        self._calls: dict[int, int] = {}
        self._thinking: dict[int, JSON] = {}

    def take(self, event: JSON) -> list[JSON]:
        """Return the chunks that an event becomes: none for pings, block ends and what is not known."""
        kind = event.get("type")
        if kind == "message_start":
            message = object_of(event.get("message"))
            self._head |= {"id": message.get("id"), "model": message.get("model")}
            self._usage.add(message.get("usage"))
            return [self._chunk({"role": "assistant", "content": ""})]
        if kind == "content_block_start":
            return self._begin(int(event.get("index") or 0), object_of(event.get("content_block")))
        if kind == "content_block_delta":
            return self._go_on(int(event.get("index") or 0), object_of(event.get("delta")))
        if kind == "content_block_stop":
            return self._end(int(event.get("index") or 0))
        if kind == "message_delta":
            return self._finish(event)
        if kind == "error":
            return [{"error": event.get("error") or {"message": "unknown"}}]
        return []

    def _begin(self, index: int, block: JSON) -> list[JSON]:
        kind = block.get("type")
        if kind == "tool_use":
            number = self._calls[index] = len(self._calls)
            given = block.get("input")
            function = {"name": block.get("name"), "arguments": ""}
            if given:
                function["arguments"] = msgspec.json.encode(given).decode()
            call = {"index": number, "id": block.get("id"), "type": "function", "function": function}
            return [self._chunk({"tool_calls": [call]})]
        if kind in {"thinking", "redacted_thinking"}:
            self._thinking[index] = dict(block)
            text = block.get("thinking")
            return [self._chunk({"reasoning_content": text})] if text else []
        text = block.get("text") if kind == "text" else None
        return [self._chunk({"content": text})] if text else []

    def _go_on(self, index: int, delta: JSON) -> list[JSON]:
        kind = delta.get("type")
        if kind == "text_delta":
            return [self._chunk({"content": delta.get("text") or ""})]
        if kind == "input_json_delta" and index in self._calls:
            arguments = delta.get("partial_json") or ""
            call = {"index": self._calls[index], "function": {"arguments": arguments}}
            return [self._chunk({"tool_calls": [call]})] if arguments else []
        if kind == "thinking_delta":
            block = self._thinking.setdefault(index, {"type": "thinking", "thinking": ""})
            text = str(delta.get("thinking") or "")
            block["thinking"] = str(block.get("thinking") or "") + text
            return [self._chunk({"reasoning_content": text})] if text else []
        if kind == "signature_delta":
            block = self._thinking.setdefault(index, {"type": "thinking", "thinking": ""})
            block["signature"] = str(block.get("signature") or "") + str(delta.get("signature") or "")
        return []

    def _end(self, index: int) -> list[JSON]:
        """A block of thinking is told whole once it is signed, so that it can be handed back."""
        block = self._thinking.pop(index, None)
        if block is None or not (block.get("signature") or block.get("data")):
            return []
        return [self._chunk({"thinking_blocks": [block]})]

    def _finish(self, event: JSON) -> list[JSON]:
        self._usage.add(event.get("usage"))
        reason = object_of(event.get("delta")).get("stop_reason")
        if reason is None:
            return []
        chunks = [self._chunk({}, FINISH_REASONS.get(str(reason), "stop"))]
        usage = self._usage.chat()
        if usage is not None:
            chunks.append({**self._head, "choices": [], "usage": usage})
        return chunks

    def _chunk(self, delta: JSON, finish: str | None = None) -> JSON:
        return {**self._head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
