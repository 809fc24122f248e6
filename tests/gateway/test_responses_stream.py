"""Chunks of any cut become events that say what the whole answer says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import ResponseStreamEvent

from deepspace.gateway.responses.answer import output_of, response_of
from deepspace.gateway.responses.input import Conversation, seal, unseal
from deepspace.gateway.responses.stream import EventsOfChunks
from deepspace.kit.sse import SseScanner
from deepspace.upstream.anthropic.stream import ChunksOfEvents, read_event

RECORDINGS = sorted((Path(__file__).parents[1] / "data").glob("*/*.sse"))
EVENTS: Any = pydantic.TypeAdapter(ResponseStreamEvent)
TRACE = "0" * 32
TEXT = st.text('aé上\n"\\{}', max_size=12)
CALL = st.fixed_dictionaries({"name": st.sampled_from(["one", "two"]), "arguments": TEXT.map(json.dumps)})


@st.composite
def answers(draw: st.DrawFn) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return a choice, and deltas that say the same, the arguments of its calls in turns."""
    parts = {name: draw(TEXT) for name in ("reasoning_content", "content", "refusal")}
    calls = draw(st.lists(CALL, max_size=3))
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    for name, text in parts.items():
        deltas += [{name: piece} for piece in _cut(draw, text)]
    pieces = [_cut(draw, call["arguments"]) for call in calls]
    for number, call in enumerate(calls):
        begun = {"index": number, "id": f"call_{number}", "function": {"name": call["name"]}}
        deltas.append({"tool_calls": [begun]})
    for turn in range(max(map(len, pieces), default=0)):
        for number, cut in enumerate(pieces):
            if turn < len(cut):
                deltas.append({"tool_calls": [{"index": number, "function": {"arguments": cut[turn]}}]})
    told = [{"id": f"call_{n}", "type": "function", "function": call} for n, call in enumerate(calls)]
    return {**parts, "tool_calls": told}, deltas


def _cut(draw: st.DrawFn, text: str) -> list[str]:
    size = draw(st.integers(1, 5))
    return [text[at : at + size] for at in range(0, len(text), size)]


@given(answers(), st.sampled_from(["stop", "length", "tool_calls"]))
def test_a_stream_says_what_the_whole_answer_says(
    answer: tuple[dict[str, Any], list[dict[str, Any]]], finish: str
) -> None:
    said, deltas = answer
    stream = EventsOfChunks(response_of({"model": "m"}, TRACE, 1), TRACE, sealed=False)
    heard = b""
    for delta in [*deltas, {}]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish if not delta else None}
        heard += stream.take(msgspec.json.encode({"model": "m", "choices": [choice]}))

    def finished(output: list[dict[str, Any]]) -> tuple[str, dict[str, Any]]:
        return "response.completed", {"response": {**response_of({"model": "m"}, TRACE, 1), "output": output}}

    end = stream.end(finished)
    assert stream.end(finished) == end  # asked twice, it says the same
    events = [json.loads(event.data) for event in SseScanner().feed(heard + end)]
    for event in events:
        EVENTS.validate_python(event)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    whole = output_of({"message": said, "finish_reason": finish}, TRACE, sealed=False)
    told = events[-1]["response"]["output"]
    assert _sense(told) == _sense(whole)
    done = {event["output_index"]: event["item"] for event in events if event["type"].endswith("item.done")}
    assert [done[index] for index in range(len(told))] == told
    for index, item in enumerate(told):
        own = [event for event in events if event.get("output_index") == index]
        assert events[events.index(own[0]) : events.index(own[-1]) + 1] == own  # one item after the other
        whole_text = item.get("arguments") or "".join(_parts(item))
        assert "".join(event.get("delta", "") for event in own) == whole_text
    added = [event["item"]["id"] for event in events if event["type"].endswith("item.added")]
    assert added == [item["id"] for item in told]


def _parts(item: dict[str, Any]) -> list[str]:
    parts = item.get("content") or item.get("summary") or []
    return [part.get("text") or part.get("refusal") for part in parts]


def _sense(output: list[dict[str, Any]]) -> list[Any]:
    """Return what items say: in a stream text and refusal are two messages, in a whole answer one."""
    said: list[Any] = []
    for item in output:
        if item["type"] == "message":
            said += [part.get("text") or part.get("refusal") for part in item["content"]]
        elif item["type"] == "reasoning":
            said.append(item["summary"])
        else:
            said.append((item["name"], item["arguments"], item["call_id"]))
    return said


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_what_providers_send_becomes_a_response(recording: Path) -> None:
    chunks = ChunksOfEvents(1) if recording.parent.name == "anthropic" else None
    stream = EventsOfChunks(response_of({"model": "m"}, TRACE, 1), TRACE, sealed=True)
    heard, said = b"", ""
    for event in SseScanner().feed(recording.read_bytes()):
        if event.data in (b"", b"[DONE]"):
            continue
        told = chunks.take(read_event(event.data)) if chunks is not None else [json.loads(event.data)]
        for chunk in told:
            heard += stream.take(msgspec.json.encode(chunk))
            for choice in chunk.get("choices", []):
                said += (choice.get("delta") or {}).get("content") or ""
    heard += stream.end(lambda output: ("response.completed", {"response": {"output": output}}))
    events = [json.loads(event.data) for event in SseScanner().feed(heard)]
    for event in events[2:-1]:
        EVENTS.validate_python(event)
    output = events[-1]["response"]["output"]
    texts = [
        part["text"]
        for item in output
        if item["type"] == "message"
        for part in item["content"]
        if "text" in part
    ]
    assert "".join(texts) == said
    assert output or stream.finish == "content_filter"


@given(st.text())
def test_what_others_sealed_says_nothing(text: str) -> None:
    assert unseal(text) == []
    blocks = [{"type": "thinking", "thinking": text, "signature": "c2ln"}]
    assert unseal(seal(blocks)) == blocks


def test_reasoning_behind_a_call_begins_a_turn_of_its_own() -> None:
    conversation = Conversation()
    thought = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]}
    call = {"type": "function_call", "call_id": "c", "name": "n", "arguments": "{}"}
    conversation.take([thought, call, thought, {"role": "assistant", "content": "done"}])
    assert [sorted(message) for message in conversation.messages()] == [
        ["reasoning_content", "role", "tool_calls"],
        ["content", "reasoning_content", "role"],
    ]


def test_reasoning_that_only_its_provider_can_read_is_left_out() -> None:
    conversation = Conversation()
    conversation.take(
        [
            {"type": "reasoning", "summary": [], "encrypted_content": "gAAAA"},
            {"role": "user", "content": "hi"},
        ]
    )
    assert conversation.messages() == [{"role": "user", "content": "hi"}]
