"""Streams of both dialects, cut anywhere: translated or passed through, nothing is lost or made up.

The recordings in tests/data are written after the providers' published formats: lines, names and the order of
events are theirs, the words are not.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepspace.gateway.anthropic.stream import EventsOfChunks
from deepspace.kit.sse import SseScanner, encode_event
from deepspace.testing.fake_anthropic import Answer, encode, events_of, message_of
from deepspace.upstream.anthropic.answer import chat_answer, chat_usage, read_message
from deepspace.upstream.anthropic.native import NativeStream, read_native_answer
from deepspace.upstream.anthropic.stream import ChunksOfEvents, read_event
from deepspace.upstream.errors import UpstreamError

JSON = dict[str, Any]
DATA = Path(__file__).parents[2] / "data"
RECORDED = sorted((DATA / "anthropic").glob("*.sse"))
CHATS = sorted((DATA / "openai").glob("*.sse"))

texts = st.text(min_size=1, max_size=30)
blocks = st.one_of(
    texts.map(lambda text: {"type": "text", "text": text}),
    texts.map(lambda text: {"type": "thinking", "thinking": text, "signature": "c2ln"}),
    st.tuples(st.integers(0, 10**6), st.dictionaries(texts, texts, max_size=3)).map(
        lambda found: {"type": "tool_use", "id": f"toolu_{found[0]}", "name": "f", "input": found[1]}
    ),
)
usages = st.fixed_dictionaries(
    {
        "input_tokens": st.integers(0, 10**6),
        "output_tokens": st.integers(0, 10**6),
        "cache_read_input_tokens": st.integers(0, 10**6),
        "cache_creation_input_tokens": st.integers(0, 10**6),
    }
)
answers = st.builds(
    Answer,
    st.lists(blocks, min_size=1, max_size=4),
    st.sampled_from(["end_turn", "max_tokens", "tool_use", "stop_sequence", "refusal"]),
    usages,
)


def cut(sent: bytes, at: list[int]) -> list[bytes]:
    """Return the bytes in pieces, cut at these places."""
    places = sorted({min(place, len(sent)) for place in at})
    return [sent[a:b] for a, b in zip([0, *places], [*places, len(sent)], strict=True)]


def chunks_of(pieces: list[bytes]) -> list[JSON]:
    """Return the chunks that a stream becomes."""
    scanner, reader = SseScanner(), ChunksOfEvents(0)
    events = [event for piece in pieces for event in scanner.feed(piece)]
    return [chunk for event in events if event.data for chunk in reader.take(read_event(event.data))]


def said_by(chunks: list[JSON]) -> JSON:
    """Put chunks together as a client does."""
    said: JSON = {
        "content": "",
        "reasoning_content": "",
        "tool_calls": {},
        "finish_reason": None,
        "usage": None,
    }
    for chunk in chunks:
        said["usage"] = chunk.get("usage") or said["usage"]
        for choice in chunk["choices"]:
            delta = choice["delta"]
            said["content"] += delta.get("content") or delta.get("refusal") or ""
            said["reasoning_content"] += delta.get("reasoning_content") or ""
            said["finish_reason"] = choice["finish_reason"] or said["finish_reason"]
            for call in delta.get("tool_calls", ()):
                known = said["tool_calls"].setdefault(call["index"], {"id": "", "name": "", "arguments": ""})
                known["id"] = call.get("id") or known["id"]
                known["name"] = call["function"].get("name") or known["name"]
                known["arguments"] += call["function"].get("arguments") or ""
    return said


def rebuilt(sent: bytes) -> JSON:
    """Put events of the Messages API together as a client does."""
    message: JSON = {}
    open_blocks: set[int] = set()
    for event in SseScanner().feed(sent):
        read = json.loads(event.data)
        assert event.name == read["type"].encode()
        index = read.get("index")
        if read["type"] == "message_start":
            message = read["message"]
        elif read["type"] == "content_block_start":
            assert index == len(message["content"])
            message["content"].append({**read["content_block"], "json": ""})
            open_blocks.add(index)
        elif read["type"] == "content_block_delta":
            assert index in open_blocks
            delta = read["delta"]
            name = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "json"}[
                delta["type"]
            ]
            message["content"][index][name] += delta.get(
                "text", delta.get("thinking", delta.get("partial_json"))
            )
        elif read["type"] == "content_block_stop":
            open_blocks.remove(index)
        elif read["type"] == "message_delta":
            message |= read["delta"] | {"usage": read["usage"]}
        else:
            assert read["type"] == "message_stop"
    assert open_blocks == set()
    return message


@given(answers, st.lists(st.integers(0, 4000), max_size=12))
def test_cut_anywhere_a_stream_becomes_the_same_chunks_and_says_what_the_whole_answer_says(
    answer: Answer, at: list[int]
) -> None:
    sent = b"".join(encode(kind, fields) for kind, fields in events_of(answer, "m"))
    chunks = chunks_of(cut(sent, at))
    assert chunks == chunks_of([sent])
    said, whole = said_by(chunks), chat_answer(message_of(answer, "m"), 0)
    message = whole["choices"][0]["message"]
    assert said["content"] == (message["content"] or "")
    assert said["reasoning_content"] == message.get("reasoning_content", "")
    assert said["finish_reason"] == whole["choices"][0]["finish_reason"]
    assert said["usage"] == whole["usage"]
    calls = [
        (call["id"], call["name"], json.loads(call["arguments"])) for call in said["tool_calls"].values()
    ]
    assert calls == [
        (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
        for call in message.get("tool_calls", ())
    ]


@given(answers, st.lists(st.integers(0, 4000), max_size=12))
def test_cut_anywhere_a_native_stream_is_passed_on_whole_and_its_end_waits(
    answer: Answer, at: list[int]
) -> None:
    sent = b"".join(encode(kind, fields) for kind, fields in events_of(answer, "m"))
    scanner, stream = SseScanner(), NativeStream()
    passed, text, usage, finished = b"", "", None, False
    for piece in cut(sent, at):
        for event in scanner.feed(piece):
            seen, now = stream.take(event)
            passed += b"".join(one.raw for one in now)
            text += seen.text
            usage, finished = seen.usage or usage, seen.finished
    assert passed + b"".join(event.raw for event in stream.held) == sent
    assert b"message_delta" not in passed.rpartition(b"event: ")[2]
    assert (len(stream.held), finished) == (2, True)
    whole = read_native_answer(msgspec.json.encode(message_of(answer, "m")))
    assert usage == whole.usage
    assert len(text) >= sum(len(block.get("text", "")) for block in answer.blocks)


@given(answers, st.randoms(use_true_random=False))
def test_there_and_back_a_stream_says_the_same(answer: Answer, chance: Any) -> None:
    sent = b"".join(encode(kind, fields) for kind, fields in events_of(answer, "m"))
    chunks = chunks_of([sent])
    events = EventsOfChunks(1, "x")
    made = b"".join(events.take(msgspec.json.encode(chunk)) for chunk in chunks)
    end = events.end({"output_tokens": 1})
    assert end == events.end({"output_tokens": 1})
    message = rebuilt(made + end)
    for kind, name in (("text", "text"), ("thinking", "thinking")):
        there = "".join(block[name] for block in answer.blocks if block["type"] == kind)
        assert "".join(block[name] for block in message["content"] if block["type"] == kind) == there
    calls = [(b["id"], b["input"]) for b in answer.blocks if b["type"] == "tool_use"]
    assert [
        (b["id"], json.loads(b["json"] or "{}")) for b in message["content"] if b["type"] == "tool_use"
    ] == calls
    expected = {"stop_sequence": "end_turn"}.get(answer.stop_reason, answer.stop_reason)
    assert message["stop_reason"] == expected


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_recorded_anthropic_streams_become_the_same_chunks_however_they_are_cut(path: Path) -> None:
    sent = path.read_bytes()
    whole = chunks_of([sent])
    assert said_by(whole)["finish_reason"]
    assert said_by(whole)["usage"]["prompt_tokens"] > 0
    for at in range(0, len(sent), 3):
        assert chunks_of([sent[:at], sent[at:]]) == whole
    assert chunks_of([sent[at : at + 1] for at in range(len(sent))]) == whole


@pytest.mark.parametrize("path", CHATS, ids=lambda path: path.stem)
def test_recorded_chat_streams_become_well_formed_events(path: Path) -> None:
    events = EventsOfChunks(1, "x")
    chunks = [
        event.data for event in SseScanner().feed(path.read_bytes()) if event.data not in {b"", b"[DONE]"}
    ]
    message = rebuilt(b"".join(map(events.take, chunks)) + events.end({"output_tokens": 1}))
    said = said_by([json.loads(chunk) for chunk in chunks])
    assert "".join(b["text"] for b in message["content"] if b["type"] == "text") == said["content"]
    inputs = [json.loads(b["json"] or "{}") for b in message["content"] if b["type"] == "tool_use"]
    assert inputs == [json.loads(call["arguments"] or "{}") for call in said["tool_calls"].values()]


def test_an_answer_without_a_chunk_is_still_a_message() -> None:
    assert rebuilt(EventsOfChunks(1, "x").end({"output_tokens": 0}))["stop_reason"] == "end_turn"


@pytest.mark.parametrize("figures", [{}, {"input_tokens": -1}, {"input_tokens": "7"}, {"input_tokens": 1.5}])
def test_nonsense_is_no_usage(figures: JSON) -> None:
    assert chat_usage(figures) is None


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"type":"error","error":{"message":"x"}}', b'{"type":"message"}']
)
def test_what_is_no_message_is_an_error_of_the_provider(body: bytes) -> None:
    with pytest.raises(UpstreamError):
        read_message(body)


def test_an_error_event_is_an_error_in_both_ways() -> None:
    sent = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
    assert ChunksOfEvents(0).take(read_event(sent))[0]["error"]["message"] == "Overloaded"
    (event,) = SseScanner().feed(encode_event(sent, b"error"))
    seen, passed = NativeStream().take(event)
    assert (seen.error, passed) == ("Overloaded", [])
