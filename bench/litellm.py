"""LiteLLM's proxy beside the gateway, if there is a virtual environment that has it: never a dependency.

`BENCH_LITELLM=/path/to/venv python -m bench --suite gateway`. It runs one worker, without a database, without
keys but one and without a log: it routes, and books nothing.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.exchanges import MODEL

START_S = 90

_CONFIGURATION = """
model_list:
  - model_name: {model}
    litellm_params:
      model: openai/{model}
      api_base: http://127.0.0.1:{upstream}/v1
      api_key: sk-bench
general_settings:
  master_key: sk-bench
litellm_settings:
  telemetry: false
"""


@contextmanager
def litellm_proxy(directory: Path, upstream_port: int) -> Iterator[tuple[int, int] | None]:
    """Run the proxy in front of a provider; yields its port and process id, or None if there is none."""
    home = os.environ.get("BENCH_LITELLM")
    if home is None:
        yield None
        return
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    file = directory / "litellm.yaml"
    file.write_text(_CONFIGURATION.format(model=MODEL, upstream=upstream_port))
    command = [f"{home}/bin/litellm", "--config", str(file), "--port", str(port), "--host", "127.0.0.1"]
    environment = {**os.environ, "LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    with (directory / "litellm.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        _wait(port, process, directory / "litellm.log")
        yield port, process.pid
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health/liveliness"):
            return
        time.sleep(0.2)
    raise SystemExit(f"bench: LiteLLM did not start:\n{log.read_text()[-2000:]}")
