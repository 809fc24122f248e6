"""More gateways on the database of `live`, each with an address and settings of its own."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from tests.support.live import Live, as_, start_gateway


@dataclass
class Another:
    """A gateway process beside the one of `live`."""

    url: str
    process: subprocess.Popen[bytes]
    listener: socket.socket
    http: httpx2.Client
    log: Path

    def chat(self, key: str, model: str = "fake-echo", text: str = "a b c d", **fields: Any) -> Any:
        """Make a chat call; `headers` adds to the credential."""
        headers = {**as_(key), **fields.pop("headers", {})}
        body = {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": 40, **fields}
        return self.http.post("/v1/chat/completions", json=body, headers=headers)

    def decisions(self) -> dict[tuple[str, str], int]:
        """Return the rate-limit decisions it has counted, by (who counted, outcome)."""
        pattern = r'^deepspace_rate_limit_decisions_total\{counted_by="(\w+)",outcome="(\w+)"\} (\d+)'
        found = re.findall(pattern, self.http.get("/metrics").text, re.MULTILINE)
        return {(counted_by, outcome): int(count) for counted_by, outcome, count in found}


@contextmanager
def another(live: Live, directory: Path, **settings: str) -> Iterator[Another]:
    """Lend a running gateway; `settings` without their prefix."""
    directory.mkdir(exist_ok=True)
    environment = {f"DEEPSPACE_{name}": value for name, value in settings.items()} | {
        "DEEPSPACE_DATABASE_URL": live.database_url,
        "DEEPSPACE_SECRET_KEY": live.secret_key,
        "DEEPSPACE_DATA_DIR": str(directory / "data"),
        "DEEPSPACE_HOLD_TTL_S": "5",
        "DEEPSPACE_DRAIN_S": "1",
    }
    log = directory / "gateway.log"
    process, url, listener = start_gateway(environment, log)
    http = httpx2.Client(base_url=url, timeout=30, trust_env=False)
    try:
        yield Another(url, process, listener, http, log)
    finally:
        http.close()
        process.terminate()  # a killed one could leave a hold open, and nobody sweeps here
        process.wait(30)
        listener.close()
