"""Chunks of the inner language as events of the Responses API, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from deepspace.gateway.responses.answer import (
    arguments_text,
    call_item,
    item_status,
    logprobs_of,
    message_item,
    reasoning_item,
    refusal_part,
    summary_part,
    text_part,
)
from deepspace.kit.sse import encode_event
from deepspace.upstream.anthropic.words import JSON, object_of, objects_of


def event(kind: str, number: int, **fields: Any) -> bytes:
    """Write one event; `number` is its place in the stream."""
    data: JSON = {"type": kind, "sequence_number": number, **fields}
    return encode_event(msgspec.json.encode(data), kind.encode())


@dataclass(slots=True)
class _Item:
    """An item of the output: what has come of it, and how much of that was told."""

    kind: str
    id: str
    index: int
    text: list[str] = field(default_factory=list[str])
    logprobs: list[JSON] = field(default_factory=list[JSON])
    blocks: list[JSON] = field(default_factory=list[JSON])
    call_id: Any = None
    name: Any = None
    begun: bool = False
    told: int = 0
    told_logprobs: int = 0


_ID = {"text": "msg", "refusal": "msg", "reasoning": "rs", "call": "fc"}

Emit = Callable[..., None]


class EventsOfChunks:
    """Turns chunks into events.

    Items are told one after the other, as clients expect: what comes of a later one while an earlier one is
    not complete waits. That is so only for servers that send the arguments of parallel calls in turns.
    """

    def __init__(self, begun: JSON, trace_id: str, *, sealed: bool) -> None:
        """`begun` is the response as it stands at the start; `sealed` says that reasoning is to be handed
        back."""
        self._begun = begun
        self._trace_id = trace_id
        self._sealed = sealed
        self._started = False
        self._number = 0
        self._items: list[_Item] = []
        self._live = 0
        self._calls: dict[int, _Item] = {}
        self.finish = "stop"
        self.model: Any = None

    def take(self, data: bytes) -> bytes:
        """Return the events that a chunk becomes."""
        chunk = object_of(msgspec.json.decode(data))
        self.model = chunk.get("model") or self.model
        events: list[bytes] = []

        def emit(kind: str, **fields: Any) -> None:
            events.append(event(kind, self._number, **fields))
            self._number += 1

        if not self._started:
            self._started = True
            self._begin(emit)
        for choice in objects_of(chunk.get("choices"))[:1]:
            self._take(object_of(choice.get("delta")), choice)
            self.finish = choice.get("finish_reason") or self.finish
        self._tell(emit)
        return b"".join(events)

    def end(self, finished: Callable[[list[JSON]], tuple[str, JSON]], *rest: tuple[str, JSON]) -> bytes:
        """Return the events that end the stream: what waits is told, `finished` makes the last event's kind
        and fields of the output, and `rest` follows. Changes nothing, so it can be asked twice."""
        events: list[bytes] = []
        number = self._number

        def emit(kind: str, **fields: Any) -> None:
            nonlocal number
            events.append(event(kind, number, **fields))
            number += 1

        if not self._started:
            self._begin(emit)
        output: list[JSON] = []
        for item in self._items:
            is_cut = item is self._items[-1] and item.kind != "call"
            whole = self._whole(item, item_status(self.finish) if is_cut else "completed")
            output.append(whole)
            if item.index >= self._live:
                self._news(emit, item)
                _close(emit, item, whole)
        for kind, fields in (finished(output), *rest):
            emit(kind, **fields)
        return b"".join(events)

    def _begin(self, emit: Emit) -> None:
        begun = {**self._begun, "model": self.model or self._begun["model"]}
        emit("response.created", response=begun)
        emit("response.in_progress", response=begun)

    def _take(self, delta: JSON, choice: JSON) -> None:
        """Put what a chunk says where it belongs."""
        thought = delta.get("reasoning_content") or delta.get("reasoning")
        blocks = objects_of(delta.get("thinking_blocks"))
        if thought or blocks:
            item = self._last("reasoning")
            item.blocks += blocks
            item.text += [thought] if thought else []
        if delta.get("content"):
            item = self._last("text")
            item.text.append(delta["content"])
            item.logprobs += logprobs_of(choice)
        if delta.get("refusal"):
            self._last("refusal").text.append(delta["refusal"])
        for call in objects_of(delta.get("tool_calls")):
            number, function = int(call.get("index") or 0), object_of(call.get("function"))
            item = self._calls.get(number)
            if item is None:
                item = self._calls[number] = self._add("call")
                item.call_id = call.get("id") or f"call_{self._trace_id}_{number}"
                item.name = function.get("name")
            if function.get("arguments"):
                item.text.append(arguments_text(function["arguments"]))

    def _last(self, kind: str) -> _Item:
        """Return the last item if it is of this kind, else a new one."""
        last = self._items[-1] if self._items else None
        return last if last is not None and last.kind == kind else self._add(kind)

    def _add(self, kind: str) -> _Item:
        index = len(self._items)
        item = _Item(kind, f"{_ID[kind]}_{self._trace_id}_{index}", index)
        self._items.append(item)
        return item

    def _tell(self, emit: Emit) -> None:
        """Tell what has come, as far as items are in order."""
        while self._live < len(self._items):
            item = self._items[self._live]
            self._news(emit, item)
            item.begun, item.told, item.told_logprobs = True, len(item.text), len(item.logprobs)
            if item is self._items[-1] or not _is_complete(item):
                break
            _close(emit, item, self._whole(item, "completed"))
            self._live += 1

    def _news(self, emit: Emit, item: _Item) -> None:
        """Tell what is not told yet of an item."""
        if not item.begun:
            self._open(emit, item)
        delta = "".join(item.text[item.told :])
        if not delta:
            return
        if item.kind == "call":
            emit("response.function_call_arguments.delta", **_at(item), delta=delta)
        elif item.kind == "reasoning":
            emit("response.reasoning_summary_text.delta", **_at(item, "summary_index"), delta=delta)
        elif item.kind == "refusal":
            emit("response.refusal.delta", **_at(item, "content_index"), delta=delta)
        else:
            told = item.logprobs[item.told_logprobs :]
            emit("response.output_text.delta", **_at(item, "content_index"), delta=delta, logprobs=told)

    def _open(self, emit: Emit, item: _Item) -> None:
        empty = self._whole(
            _Item(item.kind, item.id, item.index, call_id=item.call_id, name=item.name), "in_progress"
        )
        part: JSON | None = None
        if item.kind in {"text", "refusal"}:
            part, empty["content"] = empty["content"][0], []
        emit("response.output_item.added", output_index=item.index, item=empty)
        if part is not None:
            emit("response.content_part.added", **_at(item, "content_index"), part=part)
        elif item.kind == "reasoning":
            where = _at(item, "summary_index")
            emit("response.reasoning_summary_part.added", **where, part=summary_part(""))

    def _whole(self, item: _Item, status: str) -> JSON:
        text = "".join(item.text)
        if item.kind == "call":
            return call_item(item.id, item.call_id, item.name, text, status)
        if item.kind == "reasoning":
            return reasoning_item(item.id, text, item.blocks, sealed=self._sealed)
        part = refusal_part(text) if item.kind == "refusal" else text_part(text, item.logprobs)
        return message_item(item.id, [part], status)


def _is_complete(item: _Item) -> bool:
    """Tell whether nothing more can come of an item that another one follows."""
    if item.kind != "call":
        return True
    try:
        return isinstance(msgspec.json.decode("".join(item.text)), dict)
    except (msgspec.DecodeError, RecursionError):
        return False


def _at(item: _Item, part: str | None = None) -> JSON:
    """Return where an event belongs; `part` names the index of an item's only part."""
    where: JSON = {"item_id": item.id, "output_index": item.index}
    return {**where, part: 0} if part is not None else where


def _close(emit: Emit, item: _Item, whole: JSON) -> None:
    """Say that an item is complete, its parts first."""
    if item.kind == "call":
        emit(
            "response.function_call_arguments.done", **_at(item), arguments=whole["arguments"], name=item.name
        )
    elif item.kind == "reasoning":
        where, part = _at(item, "summary_index"), summary_part("".join(item.text))
        emit("response.reasoning_summary_text.done", **where, text=part["text"])
        emit("response.reasoning_summary_part.done", **where, part=part)
    else:
        where, part = _at(item, "content_index"), whole["content"][0]
        if item.kind == "refusal":
            emit("response.refusal.done", **where, refusal=part["refusal"])
        else:
            emit("response.output_text.done", **where, text=part["text"], logprobs=part["logprobs"])
        emit("response.content_part.done", **where, part=part)
    emit("response.output_item.done", output_index=item.index, item=whole)
