"""LlamaIndex's `OpenAILike`: chat, streams, tools, objects, and the API before chat."""

from __future__ import annotations

from functools import partial
from typing import Any

from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel
from telling import DEGREES, ECHO, KEY, LOCAL, TOOLS, URL, run, tell


class Place(BaseModel):
    """A place."""

    city: str


def weather(city: str) -> str:
    """Return the weather of a city."""
    return DEGREES[city]


def llm(model: str, **fields: Any) -> OpenAILike:
    """Return a model of LlamaIndex's."""
    settings: dict[str, Any] = {"is_chat_model": True, "is_function_calling_model": True, **fields}
    return OpenAILike(
        model=model, api_base=f"{URL}/v1", api_key=KEY, max_retries=0, context_window=8192, **settings
    )


def ask(text: str) -> list[ChatMessage]:
    """Return the messages of a question."""
    return [ChatMessage(role="user", content=text)]


def chat(model: str) -> Any:
    """Ask, sync and async."""
    whole = llm(model).chat(ask("four words of text"))
    later = run(llm(model).achat(ask("two words")))
    return [str(whole.message.content).strip(), str(later.message.content).strip()]


def stream(model: str) -> Any:
    """Hear a stream."""
    parts = [part.delta or "" for part in llm(model).stream_chat(ask("alpha beta gamma"))]
    return ["".join(parts).strip(), len(parts) > 1]


def complete(model: str) -> Any:
    """Ask by the API before chat, whole and as a stream."""
    old = llm(model, is_chat_model=False, is_function_calling_model=False)
    told = "".join(part.delta or "" for part in old.stream_complete("one two"))
    return [old.complete("three words here").text.strip(), told.strip()]


def use_tools(model: str) -> Any:
    """Let the model call tools, run them, and hand the results back."""
    used, tools = llm(model), [FunctionTool.from_defaults(weather)]
    asked = ask("Which is warmer?")
    said = used.chat_with_tools(tools, chat_history=asked, allow_parallel_tool_calls=True)
    calls = used.get_tool_calls_from_response(said)
    results = [
        ChatMessage(
            role="tool",
            content=weather(**call.tool_kwargs),
            additional_kwargs={"tool_call_id": call.tool_id, "name": call.tool_name},
        )
        for call in calls
    ]
    answer = used.chat_with_tools(tools, chat_history=[*asked, said.message, *results])
    return [[call.tool_kwargs["city"] for call in calls], str(answer.message.content).strip()]


def structured(model: str) -> Any:
    """Ask for an object."""
    return llm(model).structured_predict(Place, PromptTemplate("Where is it warm?")).city


def main() -> None:
    """Try everything on every kind of channel."""
    things: dict[str, Any] = {}
    for model in ECHO:
        things[f"chat {model}"] = partial(chat, model)
        things[f"stream {model}"] = partial(stream, model)
        things[f"complete {model}"] = partial(complete, model)
    for model in TOOLS:
        things[f"tools {model}"] = partial(use_tools, model)
        things[f"structured {model}"] = partial(structured, model)
    things["local"] = lambda: str(llm(LOCAL, max_tokens=8).chat(ask("Say hello.")).message.content)
    tell(things)


main()
