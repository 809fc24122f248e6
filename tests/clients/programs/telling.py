"""What every program here does: try things against the gateway and print, as JSON, what came of each."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import traceback
from collections.abc import Callable, Coroutine
from typing import Any

URL = os.environ["GATEWAY_URL"]
KEY = os.environ["GATEWAY_KEY"]
ECHO = json.loads(os.environ["ECHO_MODELS"])
TOOLS = json.loads(os.environ["TOOL_MODELS"])
LOCAL = os.environ["LOCAL_MODEL"]
DEGREES = {"Zürich": "18 degrees", "上海": "31 degrees"}


_LOOP = asyncio.new_event_loop()


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine. One loop serves all: libraries keep connections that belong to it."""
    return _LOOP.run_until_complete(work)


def tell(things: dict[str, Callable[[], Any]]) -> None:
    """Try each and print what it returns, or how it failed."""
    told: dict[str, Any] = {}
    for name, act in things.items():
        try:
            told[name] = act()
        except Exception:
            told[name] = {"failed": traceback.format_exc()}
    json.dump(told, sys.stdout)
