"""Refuses requests that are longer than a limit, before any money is held."""

from __future__ import annotations

import os

from deepspace.kit.errors import PlatformError
from deepspace.pipeline.exchange import Exchange
from deepspace.pipeline.registry import PluginStep

DEFAULT_MAX_BYTES = 16_000


class PromptTooLong(PlatformError):
    """The request is longer than this platform allows."""

    status = 413
    code = "prompt_too_long"


class PromptLength:
    """Holds the size of a request against a limit."""

    name = "prompt_length"

    def __init__(self, max_bytes: int) -> None:
        """Refuse what has more than `max_bytes`."""
        self._max_bytes = max_bytes

    async def __call__(self, x: Exchange) -> None:
        """Refuse by raising; what is noted appears in the trace."""
        size = len(x.call.body)
        if size > self._max_bytes:
            raise PromptTooLong(f"The request has {size} bytes; {self._max_bytes} are allowed.")
        x.note(self.name, "prompt_length.checked", bytes=size, allowed=self._max_bytes)


def plugin() -> PluginStep:
    """Return the step and its place; called once, when a gateway starts."""
    max_bytes = int(os.environ.get("PROMPT_LENGTH_MAX_BYTES", DEFAULT_MAX_BYTES))
    return PluginStep(PromptLength(max_bytes), after="policy", before="budget_hold")
