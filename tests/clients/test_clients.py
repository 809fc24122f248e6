"""Libraries that people build with, unchanged, pointed at the gateway: chat, streams, tools, objects.

Each program tries every thing on a channel in the OpenAI dialect, on one in the Anthropic dialect, and says
something to the local model. What a program tells is compared whole, so a thing that fails shows how.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.support.live import Live

Run = Callable[[str], dict[str, Any]]
ECHO = ("fake-echo", "our-claude-echo")
TOOLS = ("fake-tools", "our-claude-tools")
FOUR, THREE, TWO = "four words of text", "alpha beta gamma", "two words"
CITIES = ["Zürich", "上海"]


def test_the_npm_package_of_openai(live: Live, run: Run) -> None:
    before = live.balance()
    told = run("with_openai.mjs")
    expected: dict[str, Any] = {}
    for model in ECHO:
        expected[f"chat {model}"] = [FOUR, "0.00001"]
        expected[f"chat stream {model}"] = [THREE, True]
        expected[f"responses {model}"] = [FOUR, "0.00001"]
        expected[f"responses stream {model}"] = [THREE, True, THREE]
        expected[f"structured {model}"] = {"age": 7}
        expected[f"completions {model}"] = ["three words here", "one two"]
    for model in TOOLS:
        expected[f"tools {model}"] = ["31 degrees", CITIES]
        expected[f"responses tools {model}"] = ["31 degrees", CITIES]
    expected["no such model"] = ["NotFoundError", 404, "model_not_found"]
    expected["previous response"] = ["BadRequestError", 400, "state_not_kept"]
    expected["broken stream"] = ["APIError", None, "upstream_error"]
    expected["broken chat stream"] = ["APIError", None, "upstream_error"]
    expected["time-out"] = expected["retries"] = ["APIConnectionTimeoutError", None, None]
    assert told.pop("local")
    assert told == expected
    assert len(live.upstream.of_prompt("a retry from the other side of the world")) == 2
    assert live.balance() < before


def test_langchain_in_all_three_dialects(live: Live, run: Run) -> None:
    told = run("with_langchain.py")
    expected: dict[str, Any] = {}
    for kind in ("openai", "responses", "anthropic"):
        for model in ECHO:
            expected[f"invoke {kind} {model}"] = [FOUR, TWO, 4]
            expected[f"stream {kind} {model}"] = [THREE, True]
            expected[f"structured {kind} {model}"] = 7
        for model in TOOLS:
            expected[f"tools {kind} {model}"] = [CITIES, "31 degrees"]
        assert told.pop(f"local {kind}")
    assert told == expected
    live.balance()


def test_llamaindex_with_chat_and_with_completions(live: Live, run: Run) -> None:
    told = run("with_llamaindex.py")
    expected: dict[str, Any] = {}
    for model in ECHO:
        expected[f"chat {model}"] = [FOUR, TWO]
        expected[f"stream {model}"] = [THREE, True]
        expected[f"complete {model}"] = ["three words here", "one two"]
    for model in TOOLS:
        expected[f"tools {model}"] = [CITIES, "31 degrees"]
        expected[f"structured {model}"] = "Zürich"
    assert told.pop("local")
    assert told == expected
    live.balance()


def test_an_agent_of_pydantic_ai_runs_its_tools_to_the_end(live: Live, run: Run) -> None:
    told = run("with_pydantic_ai.py")
    expected: dict[str, Any] = {}
    for kind in ("openai", "responses", "anthropic"):
        for model in ECHO:
            expected[f"stream {kind} {model}"] = [THREE, True]
            if kind != "anthropic":
                expected[f"structured {kind} {model}"] = 7
        for model in TOOLS:
            expected[f"loop {kind} {model}"] = [CITIES, "31 degrees", 2]
    assert told.pop("local")
    assert told == expected
    live.balance()
