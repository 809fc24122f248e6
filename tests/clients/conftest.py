"""Programs that use the gateway as people's programs do, each with libraries of its own.

The Python ones run in `.venv/clients`, where no test runs: their libraries want other releases than the tests
have. The gateway has channels to a provider of each dialect, and to the local model, which is real.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from deepspace.testing.fake_anthropic import FakeAnthropic
from deepspace.upstream import local_model
from tests.support.live import Live
from tests.support.up import free_port, wait

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(__file__).parent / "programs"
LOCAL = "local-for-clients"
CLAUDE = ("claude-echo", "claude-tools")

Told = dict[str, Any]


@pytest.fixture(scope="session")
def channels(live: Live) -> Iterator[None]:
    """A channel in the Anthropic dialect, and one to the local model."""
    port = free_port()
    model = subprocess.Popen(
        [sys.executable, "-m", local_model.__name__, str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with FakeAnthropic() as fake:
        served = [{"model": f"our-{name}", "upstream_model": name} for name in CLAUDE]
        live.channel(*served, kind="anthropic", base_url=fake.base_url, api_key=fake.api_key)
        small = {"model": LOCAL, "upstream_model": local_model.MODEL, "max_output_tokens": 8}
        live.channel(small, base_url=f"http://127.0.0.1:{port}/v1")
        try:
            wait(lambda: _answers(port), 30)
            yield
        finally:
            model.kill()
            model.wait(10)


def _answers(port: int) -> bool:
    try:
        return httpx2.get(f"http://127.0.0.1:{port}/health", timeout=2).status_code == 200
    except httpx2.HTTPError:
        return False


@pytest.fixture(scope="session")
def run(live: Live, channels: None) -> Callable[[str], Told]:
    """Run a program of programs/ and return what it told, thing by thing."""
    environment = {
        **os.environ,
        "GATEWAY_URL": live.url,
        "GATEWAY_KEY": live.api_key,
        "ECHO_MODELS": json.dumps(["fake-echo", "our-claude-echo"]),
        "TOOL_MODELS": json.dumps(["fake-tools", "our-claude-tools"]),
        "LOCAL_MODEL": LOCAL,
    }

    def run(program: str) -> Told:
        python = ROOT / ".venv" / "clients" / "bin" / "python"
        node = Path(sys.executable).parent / "node"
        interpreter = node if program.endswith(".mjs") else python
        assert interpreter.exists(), f"{interpreter} is missing: `make clients` sets it up"
        done = subprocess.run(
            [interpreter, PROGRAMS / program],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout)

    return run
