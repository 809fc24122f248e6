"""Guardrails over answers: whole ones, and streams through a window that holds back just enough.

A stream is watched in the channel's own dialect, before anything reads or translates it: text that may not go
out yet is taken out of its event and put into a later one, or into one of ours. Each text of a stream (a
choice's content, its reasoning, a tool's arguments) has a window of its own. Without guards on the output
none of this runs, and the provider's bytes are the client's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import msgspec

from deepspace.kit.sse import SseEvent, encode_event
from deepspace.pipeline.exchange import Exchange
from deepspace.pipeline.steps.guardrails import changed_in
from deepspace.pipeline.verdicts import Verdicts
from deepspace.pipeline.wording import INNER, StreamReader
from deepspace.policy.guardrails.port import ActiveGuard, Found, Guard
from deepspace.policy.guardrails.watch import Watch, looked_through
from deepspace.upstream.anthropic.words import JSON, object_of, objects_of
from deepspace.upstream.catalogue import Route

_CHUNK_TEXTS = ("content", "reasoning_content", "reasoning", "refusal")
_BLOCK_TEXTS = ("text", "thinking", "partial_json")
_ARGUMENTS = frozenset(("arguments", "partial_json"))

Slot = tuple[int, str, int]
"""Which text of a stream: choice or block, field, and the number of a tool's call."""


@dataclass(frozen=True, slots=True)
class _InArguments:
    """A guard over JSON that comes in pieces: a mask of digits is JSON inside a string and outside."""

    guard: Guard

    @property
    def name(self) -> str:
        return self.guard.name

    def fold(self, text: str) -> str:
        return self.guard.fold(text)

    def find(self, text: str, start: int, end: int) -> Found | None:
        return self.guard.find(text, start, end)

    def open_from(self, text: str, start: int) -> int:
        return self.guard.open_from(text, start)

    def mask(self, found: Found) -> str:
        return "1" * (found.end - found.start)


class _Windows:
    """The windows over the texts of one answer."""

    def __init__(self, x: Exchange) -> None:
        self._report = Verdicts(x, "output")
        self._guards = x.output_guards
        self._in_arguments: Sequence[ActiveGuard] = tuple(
            replace(active, guard=_InArguments(active.guard)) for active in x.output_guards
        )
        self._open: dict[Slot, Watch] = {}

    def _guards_of(self, field: str) -> Sequence[ActiveGuard]:
        return self._in_arguments if field in _ARGUMENTS else self._guards

    def feed(self, slot: Slot, text: str) -> str:
        """Take more of a text; return what may go out of it."""
        watch = self._open.get(slot)
        if watch is None:
            watch = self._open[slot] = Watch(self._guards_of(slot[1]), self._report)
        return watch.feed(text)

    def finish(self, number: int | None = None) -> list[tuple[Slot, str]]:
        """The texts of a choice or block (of all, for None) have ended: return what was held back of each."""
        ended = [slot for slot in self._open if number is None or slot[0] == number]
        rests = [(slot, self._open.pop(slot).finish()) for slot in ended]
        return [(slot, rest) for slot, rest in rests if rest]

    def whole(self, field: str, text: str) -> str:
        """Return a text that came whole."""
        return looked_through(text, self._guards_of(field), self._report)


class GuardedReader(StreamReader):
    """A StreamReader that lets nothing pass that a guardrail holds up."""

    __slots__ = ("_is_inner", "_last", "_windows")

    def __init__(self, x: Exchange, route: Route) -> None:
        """Watch what `route` sends in answer to `x`."""
        super().__init__(x, route)
        self._windows = _Windows(x)
        self._is_inner = route.dialect == INNER
        self._last: JSON = {}

    def take(self, event: SseEvent, frames: list[bytes]) -> bool:
        """See StreamReader.take; GuardrailBlocked if the answer ends here."""
        finished = False
        for passed in self._watched(event):
            finished |= super().take(passed, frames)
        return finished

    def end(self, frames: list[bytes]) -> None:
        """See StreamReader.end."""
        for slot, rest in self._windows.finish():
            super().take(self._made(slot, rest), frames)

    def _watched(self, event: SseEvent) -> list[SseEvent]:
        """Return an event as it may pass, behind what was held back before it."""
        try:
            payload = msgspec.json.decode(event.data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return [event]  # its reader will say what is wrong with it
        if not isinstance(payload, dict):
            return [event]
        found = cast("JSON", payload)
        return self._chunk(event, found) if self._is_inner else self._block(event, found)

    def _chunk(self, event: SseEvent, chunk: JSON) -> list[SseEvent]:
        before: list[SseEvent] = []
        is_changed = False
        choices = objects_of(chunk.get("choices"))
        if choices:
            self._last = chunk
        for choice in choices:
            number = _number(choice)
            texts = _texts_of(number, choice)
            for slot, holder in texts.items():
                is_changed |= self._feed(slot, holder, slot[1])
            if choice.get("finish_reason"):
                for slot, rest in self._windows.finish(number):
                    holder = texts.get(slot)
                    if holder is not None and holder.get(slot[1]):  # what this chunk brought comes first
                        holder[slot[1]], rest = "", holder[slot[1]] + rest
                    before.append(self._made(slot, rest))
                    is_changed = True
        if not choices and chunk.get("usage") is not None:
            before += [self._made(slot, rest) for slot, rest in self._windows.finish()]
        return [*before, _event(chunk) if is_changed else event]

    def _feed(self, slot: Slot, holder: JSON, name: str) -> bool:
        """Put what may go out of a text in its place; tell whether that is something else."""
        given = holder.get(name)
        if not isinstance(given, str) or not given:
            return False
        holder[name] = self._windows.feed(slot, given)
        return holder[name] != given

    def _block(self, event: SseEvent, payload: JSON) -> list[SseEvent]:
        number = _number(payload)
        kind = payload.get("type")
        is_changed = False
        if kind in {"content_block_start", "content_block_delta"}:
            holder = object_of(payload.get("delta" if kind == "content_block_delta" else "content_block"))
            for name in _BLOCK_TEXTS:
                is_changed |= self._feed((number, name, 0), holder, name)
        before: list[SseEvent] = []
        if kind == "content_block_stop":
            before = [self._made(slot, rest) for slot, rest in self._windows.finish(number)]
        elif kind == "message_delta":
            before = [self._made(slot, rest) for slot, rest in self._windows.finish()]
        return [*before, _event(payload, event.name) if is_changed else event]

    def _made(self, slot: Slot, text: str) -> SseEvent:
        """Return an event of the channel's dialect that says a text."""
        number, name, place = slot
        if not self._is_inner:
            kind = {"text": "text_delta", "thinking": "thinking_delta"}.get(name, "input_json_delta")
            delta = {"type": kind, name: text}
            payload = {"type": "content_block_delta", "index": number, "delta": delta}
            return _event(payload, b"content_block_delta")
        choice: JSON = {"index": number, "delta": {name: text}, "finish_reason": None}
        if name == "arguments":
            choice["delta"] = {"tool_calls": [{"index": place, "function": {"arguments": text}}]}
        elif name == "text":
            choice = {"index": number, "text": text, "finish_reason": None}
        top = {key: value for key, value in self._last.items() if key != "usage"}
        return _event({**top, "choices": [choice]})


def _number(part: JSON) -> int:
    number = part.get("index")
    return number if isinstance(number, int) else 0


def _texts_of(number: int, choice: JSON) -> dict[Slot, JSON]:
    """Return the texts of a choice, each with the object that holds it."""
    delta = object_of(choice.get("delta"))
    found: dict[Slot, JSON] = {(number, name, 0): delta for name in _CHUNK_TEXTS if name in delta}
    if "text" in choice:
        found[number, "text", 0] = choice
    for call in objects_of(delta.get("tool_calls")):
        found[number, "arguments", _number(call)] = object_of(call.get("function"))
    return found


def _event(payload: JSON, name: bytes = b"") -> SseEvent:
    data = msgspec.json.encode(payload)
    return SseEvent(encode_event(data, name), data, name)


def guard_whole(x: Exchange) -> None:
    """Put a whole answer with its masks in the place of the provider's; GuardrailBlocked, and no answer, if
    it may not pass. What the provider used was noted before: it is charged."""
    windows = _Windows(x)
    answer: Any = msgspec.json.decode(x.answer or b"{}")
    x.answer, given = None, x.answer
    if x.is_native:
        masked = changed_in(answer.get("content"), lambda text: windows.whole("text", text))
        answer["content"] = masked
    else:
        for choice in objects_of(answer.get("choices")):
            message = object_of(choice.get("message"))
            for holder, name in ((choice, "text"), *((message, name) for name in _CHUNK_TEXTS)):
                if holder.get(name):
                    holder[name] = changed_in(holder[name], lambda text: windows.whole("content", text))
            for call in objects_of(message.get("tool_calls")):
                function = object_of(call.get("function"))
                if isinstance(function.get("arguments"), str):
                    function["arguments"] = windows.whole("arguments", function["arguments"])
    made = msgspec.json.encode(answer)
    x.answer = given if given is not None and msgspec.json.decode(given) == answer else made
