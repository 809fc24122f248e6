"""Where client and channel speak one dialect, the client gets the provider's bytes, and the cost."""

from __future__ import annotations

import json
import random
import re
from typing import Any

from deepspace.testing.fake_anthropic import Answer, FakeAnthropic, encode, events_of, message_of
from tests.support.live import Live

EXCHANGES = 200
"""Random ones, with each dialect: seven of ten are streams."""

WORDS = ("ä", "🦜", "word", '"', "\\", "\n\n", "data: ", '"usage":{}', "\u2028", "line\r\n")
_COST = re.compile(rb',"cost":"[0-9.]+","currency":"USD"')


def text(chance: random.Random) -> str:
    """Return a text that is hard to pass on."""
    return "".join(chance.choices(WORDS, k=chance.randint(1, 9)))


def written(chance: random.Random, value: Any, *, lines: bool = False) -> bytes:
    """Write JSON as one server or another does."""
    separators = chance.choice([(",", ":"), (", ", ": ")])
    indent = chance.choice([None, 1]) if lines else None
    return json.dumps(
        value, ensure_ascii=chance.random() < 0.5, separators=separators, indent=indent
    ).encode()


def without_cost(heard: bytes) -> bytes:
    """Return what was heard without the cost, which stands there once."""
    assert len(_COST.findall(heard)) == 1
    return _COST.sub(b"", heard)


def random_message(chance: random.Random) -> Answer:
    """Return an answer in the Anthropic dialect with blocks of every kind."""
    kinds: list[Any] = [
        lambda: {"type": "text", "text": text(chance)},
        lambda: {"type": "thinking", "thinking": text(chance), "signature": "c2ln"},
        lambda: {"type": "tool_use", "id": "toolu_1", "name": "t", "input": {"usage": {"x": text(chance)}}},
    ]
    blocks = [chance.choice(kinds)() for _ in range(chance.randint(1, 4))]
    usage = {
        "input_tokens": chance.randint(1, 50),
        "output_tokens": chance.randint(1, 50),
        "unknown": {"a": [1]},
    }
    return Answer(blocks, chance.choice(["end_turn", "tool_use", "max_tokens"]), usage)


def test_in_the_anthropic_dialect(live: Live, claude: FakeAnthropic) -> None:
    chance = random.Random(20261121)
    for number in range(EXCHANGES):
        answer, prompt = random_message(chance), f"exchange {number}"
        stream = chance.random() < 0.7
        if stream:
            parts = [encode(kind, fields) for kind, fields in events_of(answer, "claude-echo")]
            if chance.random() < 0.5:
                parts.insert(chance.randrange(1, len(parts) - 1), encode("invented_event", {"x": [1, 2.50]}))
            if chance.random() < 0.3:
                parts = [part.replace(b"\n", b"\r\n") for part in parts]
            sent = b"".join(parts)
        else:
            whole = message_of(answer, "claude-echo") | {"invented": {"b": 1, "a": None}}
            sent = written(chance, whole, lines=True)
        claude.scripted[prompt] = sent
        asked = {"model": "claude-echo", "max_tokens": 50, "stream": stream}
        asked["messages"] = [{"role": "user", "content": prompt}]
        heard = live.http.post("/v1/messages", json=asked, headers={"x-api-key": live.api_key})
        assert heard.status_code == 200, heard.text
        assert without_cost(heard.content) == sent


def random_parts(chance: random.Random) -> list[dict[str, Any]]:
    """Return what a model says in the OpenAI dialect, piece by piece."""
    kinds: list[Any] = [
        lambda: {"content": text(chance)},
        lambda: {"reasoning_content": text(chance)},
        lambda: {"refusal": text(chance)},
        lambda: {"tool_calls": [{"index": 0, "function": {"name": "t", "arguments": text(chance)}}]},
        lambda: {"invented": {"usage": {"x": text(chance)}}, "content": ""},
    ]
    return [chance.choice(kinds)() for _ in range(chance.randint(1, 6))]


def random_usage(chance: random.Random) -> dict[str, Any]:
    """Return usage, with fields that nobody knows."""
    asked, told = chance.randint(1, 50), chance.randint(1, 50)
    details = {"cached_tokens": chance.randint(0, asked), "invented": [1, 2.50]}
    return {
        "prompt_tokens": asked,
        "completion_tokens": told,
        "prompt_tokens_details": details,
        "unknown": None,
    }


def random_stream(chance: random.Random) -> tuple[bytes, bytes]:
    """Return the events of a stream, and the one with its usage."""
    head = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "fake-echo",
        "x": 1.50,
    }
    deltas = [*random_parts(chance), {}]
    events: list[bytes] = []
    for number, delta in enumerate(deltas):
        finish = "stop" if number == len(deltas) - 1 else None
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        field = chance.choice([b"", b"event: chunk\n", b"id: 7\n"])
        events.append(field + b"data: " + written(chance, {**head, "choices": [choice]}) + b"\n\n")
    end = "\r\n" if chance.random() < 0.3 else "\n"
    told = written(chance, {**head, "choices": [], "usage": random_usage(chance)})
    return b"".join(events).replace(b"\n", end.encode()), b"data: " + told + b"\n\n"


def test_in_the_openai_dialect(live: Live) -> None:
    chance = random.Random(20261122)
    for number in range(EXCHANGES):
        prompt = f"openai exchange {number}"
        asked: dict[str, Any] = {"model": "fake-echo", "messages": [{"role": "user", "content": prompt}]}
        if chance.random() < 0.7:
            events, usage = random_stream(chance)
            live.upstream.scripted[prompt] = events + usage + b"data: [DONE]\n\n"
            asked["stream"] = True
            wants_usage = chance.random() < 0.5
            if wants_usage:
                asked["stream_options"] = {"include_usage": True}
            heard = live.call("/v1/chat/completions", method="POST", json=asked)
            expected = events + (usage if wants_usage else b"") + b"data: [DONE]\n\n"
            told = without_cost(heard.content) if wants_usage else heard.content
        else:
            message = {"role": "assistant", **random_parts(chance)[0]}
            choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
            whole = {"id": "chatcmpl-1", "choices": [choice], "usage": random_usage(chance), "x": {"b": 1.50}}
            expected = live.upstream.scripted[prompt] = written(chance, whole, lines=True)
            heard = live.call("/v1/chat/completions", method="POST", json=asked)
            told = without_cost(heard.content)
        assert heard.status_code == 200, heard.text
        assert told == expected
