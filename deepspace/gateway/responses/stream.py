"""Chunks of the inner language as events of the Responses API, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from deepspace.gateway.responses.answer import (
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
    """An item of the output so far."""

    kind: str
    id: str
    index: int
    text: list[str] = field(default_factory=list[str])
    logprobs: list[JSON] = field(default_factory=list[JSON])
    blocks: list[JSON] = field(default_factory=list[JSON])
    call_id: Any = None
    name: Any = None
    closed: bool = False


_ID = {"text": "msg", "refusal": "msg", "reasoning": "rs", "call": "fc"}

Emit = Callable[..., None]


class EventsOfChunks:
    """Turns chunks into events.

    Texts, refusals and reasoning are one item at a time. Calls of tools stay open to the end: servers may
    interleave the arguments of parallel calls.
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
        self._current: _Item | None = None
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

        self._start(emit)
        for choice in objects_of(chunk.get("choices"))[:1]:
            delta = object_of(choice.get("delta"))
            self._delta(emit, delta, choice)
            self.finish = choice.get("finish_reason") or self.finish
        return b"".join(events)

    def end(self, finished: Callable[[list[JSON]], tuple[str, JSON]], *rest: tuple[str, JSON]) -> bytes:
        """Return the events that end the stream: items are closed, `finished` makes the last event's kind
        and fields of the output, and `rest` follows. Changes nothing, so it can be asked twice."""
        events: list[bytes] = []
        number = self._number

        def emit(kind: str, **fields: Any) -> None:
            nonlocal number
            events.append(event(kind, number, **fields))
            number += 1

        if not self._started:
            self._begin(emit)
        status = item_status(self.finish)
        output: list[JSON] = []
        for item in self._items:
            last = item is self._items[-1]
            made = self._whole(item, status if last and item.kind != "call" else "completed")
            output.append(made)
            if not item.closed:
                _close(emit, item, made)
        for kind, fields in (finished(output), *rest):
            emit(kind, **fields)
        return b"".join(events)

    def _start(self, emit: Emit) -> None:
        if not self._started:
            self._started = True
            self._begin(emit)

    def _begin(self, emit: Emit) -> None:
        begun = {**self._begun, "model": self.model or self._begun["model"]}
        emit("response.created", response=begun)
        emit("response.in_progress", response=begun)

    def _delta(self, emit: Emit, delta: JSON, choice: JSON) -> None:
        thought = delta.get("reasoning_content") or delta.get("reasoning")
        blocks = objects_of(delta.get("thinking_blocks"))
        if thought or blocks:
            item = self._open(emit, "reasoning")
            item.blocks += blocks
            if thought:
                item.text.append(thought)
                emit("response.reasoning_summary_text.delta", **_at(item, "summary_index"), delta=thought)
        if delta.get("content"):
            item = self._open(emit, "text")
            told = logprobs_of(choice)
            item.text.append(delta["content"])
            item.logprobs += told
            where = _at(item, "content_index")
            emit("response.output_text.delta", **where, delta=delta["content"], logprobs=told)
        if delta.get("refusal"):
            item = self._open(emit, "refusal")
            item.text.append(delta["refusal"])
            emit("response.refusal.delta", **_at(item, "content_index"), delta=delta["refusal"])
        for call in objects_of(delta.get("tool_calls")):
            self._call(emit, call)

    def _open(self, emit: Emit, kind: str) -> _Item:
        """Return the item that is under way; another one is closed and a new one begun if it is of another
        kind."""
        if self._current is not None and self._current.kind == kind:
            return self._current
        self._finish_current(emit)
        item = self._current = self._add(kind)
        whole = self._whole(item, "in_progress")
        emit("response.output_item.added", output_index=item.index, item={**whole, **_empty(kind)})
        if kind == "reasoning":
            where = _at(item, "summary_index")
            emit("response.reasoning_summary_part.added", **where, part=summary_part(""))
        else:
            emit("response.content_part.added", **_at(item, "content_index"), part=whole["content"][0])
        return item

    def _call(self, emit: Emit, call: JSON) -> None:
        number, function = int(call.get("index") or 0), object_of(call.get("function"))
        item = self._calls.get(number)
        if item is None:
            self._finish_current(emit)
            item = self._calls[number] = self._add("call")
            item.call_id = call.get("id") or f"call_{self._trace_id}_{number}"
            item.name = function.get("name")
            added = self._whole(item, "in_progress")
            emit("response.output_item.added", output_index=item.index, item=added)
        arguments = function.get("arguments")
        if arguments:
            item.text.append(arguments)
            emit("response.function_call_arguments.delta", **_at(item), delta=arguments)

    def _add(self, kind: str) -> _Item:
        index = len(self._items)
        item = _Item(kind, f"{_ID[kind]}_{self._trace_id}_{index}", index)
        self._items.append(item)
        return item

    def _finish_current(self, emit: Emit) -> None:
        if self._current is not None:
            _close(emit, self._current, self._whole(self._current, "completed"))
            self._current.closed = True
            self._current = None

    def _whole(self, item: _Item, status: str) -> JSON:
        text = "".join(item.text)
        if item.kind == "call":
            return call_item(item.id, item.call_id, item.name, text, status)
        if item.kind == "reasoning":
            return reasoning_item(item.id, text, item.blocks, sealed=self._sealed)
        part = refusal_part(text) if item.kind == "refusal" else text_part(text, item.logprobs)
        return message_item(item.id, [part], status)


def _empty(kind: str) -> JSON:
    return {} if kind == "reasoning" else {"content": []}


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
