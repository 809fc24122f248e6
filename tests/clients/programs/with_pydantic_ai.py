"""An agent of Pydantic AI: it calls tools until it has an answer, by each of the three dialects."""

from __future__ import annotations

from functools import partial
from typing import Any

from anthropic import AsyncAnthropic
from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider
from telling import DEGREES, ECHO, KEY, LOCAL, TOOLS, URL, run, tell


class Person(BaseModel):
    """Somebody."""

    age: int


def model_of(kind: str, model: str) -> Any:
    """Return a model of Pydantic AI's."""
    if kind == "anthropic":
        client = AsyncAnthropic(api_key=KEY, base_url=URL)
        return AnthropicModel(model, provider=AnthropicProvider(anthropic_client=client))
    made = OpenAIResponsesModel if kind == "responses" else OpenAIChatModel
    return made(model, provider=OpenAIProvider(api_key=KEY, base_url=f"{URL}/v1"))


def loop(kind: str, model: str) -> Any:
    """Run an agent with a tool to its end."""
    called: list[str] = []
    agent = Agent(model_of(kind, model), instructions="Be brief.")

    @agent.tool_plain
    def weather(city: str) -> str:
        """Return the weather of a city."""
        called.append(city)
        return DEGREES[city]

    result = run(agent.run("Which is warmer?"))
    return [sorted(called), result.output.strip(), result.usage.requests]


def stream(kind: str, model: str) -> Any:
    """Hear a stream."""

    async def hear() -> list[Any]:
        async with Agent(model_of(kind, model)).run_stream("alpha beta gamma") as heard:
            parts = [part async for part in heard.stream_text(delta=True, debounce_by=None)]
        return ["".join(parts).strip(), len(parts) > 1]

    return run(hear())


def structured(kind: str, model: str) -> Any:
    """Ask for an object by its schema."""
    agent = Agent(model_of(kind, model), output_type=NativeOutput(Person))
    return run(agent.run('{"age":7}')).output.age


def main() -> None:
    """Try everything with every dialect on every kind of channel."""
    things: dict[str, Any] = {}
    for kind in ("openai", "responses", "anthropic"):
        for model in ECHO:
            things[f"stream {kind} {model}"] = partial(stream, kind, model)
            if kind != "anthropic":
                things[f"structured {kind} {model}"] = partial(structured, kind, model)
        for model in TOOLS:
            things[f"loop {kind} {model}"] = partial(loop, kind, model)
    things["local"] = lambda: run(Agent(model_of("responses", LOCAL)).run("Say hello.")).output
    tell(things)


main()
