"""LangChain's chat models: `langchain-openai`, in both of its APIs, and `langchain-anthropic`."""

from __future__ import annotations

from functools import partial
from typing import Any

from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel
from telling import DEGREES, ECHO, KEY, LOCAL, TOOLS, URL, run, tell


class Person(BaseModel):
    """Somebody."""

    age: int


@tool
def weather(city: str) -> str:
    """Return the weather of a city."""
    return DEGREES[city]


def chat(kind: str, model: str) -> Any:
    """Return a chat model of LangChain's."""
    if kind == "anthropic":
        return ChatAnthropic(model=model, base_url=URL, api_key=KEY, max_retries=0, max_tokens=100)
    responses = kind == "responses"
    return ChatOpenAI(
        model=model, base_url=f"{URL}/v1", api_key=KEY, max_retries=0, use_responses_api=responses
    )


def invoke(kind: str, model: str) -> Any:
    """Ask, sync and async."""
    whole = chat(kind, model).invoke("four words of text")
    later = run(chat(kind, model).ainvoke("two words"))
    return [whole.text.strip(), later.text.strip(), whole.usage_metadata["output_tokens"]]


def stream(kind: str, model: str) -> Any:
    """Hear a stream."""
    chunks = list(chat(kind, model).stream("alpha beta gamma"))
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    return [whole.text.strip(), len(chunks) > 1]


def use_tools(kind: str, model: str) -> Any:
    """Let the model call tools in a stream, run them, and hand the results back."""
    armed = chat(kind, model).bind_tools([weather])
    said: list[Any] = [HumanMessage("Which is warmer?")]
    whole: Any = None
    for chunk in armed.stream(said):
        whole = chunk if whole is None else whole + chunk
    calls = whole.tool_calls
    said.append(whole)
    said += [ToolMessage(weather.invoke(call["args"]), tool_call_id=call["id"]) for call in calls]
    return [[call["args"]["city"] for call in calls], armed.invoke(said).text.strip()]


def structured(kind: str, model: str) -> Any:
    """Ask for an object by its schema."""
    given = chat(kind, model).with_structured_output(Person, method="json_schema")
    return given.invoke('{"age":7}').age


def main() -> None:
    """Try everything with every kind of client on every kind of channel."""
    things: dict[str, Any] = {}
    for kind in ("openai", "responses", "anthropic"):
        for model in ECHO:
            things[f"invoke {kind} {model}"] = partial(invoke, kind, model)
            things[f"stream {kind} {model}"] = partial(stream, kind, model)
            things[f"structured {kind} {model}"] = partial(structured, kind, model)
        for model in TOOLS:
            things[f"tools {kind} {model}"] = partial(use_tools, kind, model)
        things[f"local {kind}"] = lambda kind=kind: chat(kind, LOCAL).invoke("Say hello.").text
    tell(things)


main()
