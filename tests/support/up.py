"""The whole platform as a person starts it: `deepspace up` in a directory of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import psutil

from tests.support.live import as_

COMMAND = (sys.executable, "-m", "deepspace")
REPOSITORY = Path(__file__).parent.parent.parent


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def deepspace(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end, with nothing of ours in its environment but `environment`."""
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@dataclass
class Up:
    """A data directory, and the process that serves it if it is running."""

    data_dir: Path
    port: int
    output: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def first_run(self) -> dict[str, str]:
        """What the first start wrote down."""
        return json.loads((self.data_dir / "first-run.json").read_text())

    def start(self) -> str:
        """Start it, wait for the banner and return everything printed so far."""
        self.output.write_bytes(b"")
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [*COMMAND, "up", "--data-dir", str(self.data_dir), "--port", str(self.port)],
                cwd=REPOSITORY,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        return wait(self._banner, 60)

    def _banner(self) -> str | None:
        text = self.output.read_text()
        if self.process is not None and self.process.poll() is not None:
            raise AssertionError(f"deepspace up ended:\n{text}")
        return text if "Ctrl-C stops." in text else None

    def children(self) -> dict[str, psutil.Process]:
        """Return the processes it started, by what they are."""
        assert self.process is not None
        found: dict[str, psutil.Process] = {}
        for child in psutil.Process(self.process.pid).children():
            command = " ".join(child.cmdline())
            for name in ("gateway --fd", "local_model", "local_embeddings", "bin/postgres"):
                if name in command:
                    found[name] = child
        return found

    def family(self) -> list[psutil.Process]:
        """Return every process there is because of this start."""
        assert self.process is not None
        root = psutil.Process(self.process.pid)
        return [root, *root.children(recursive=True)]

    def stop(self) -> None:
        """Ask it to stop, wait; kill what is left."""
        if self.process is None or self.process.poll() is not None:
            return
        family = self.family()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(40)
        finally:
            for process in family:
                if process.is_running():
                    process.kill()

    def get(self, path: str, credential: str | None = None) -> httpx2.Response:
        """Make a GET request."""
        headers = as_(credential or self.first_run["api_key"])
        return httpx2.get(f"{self.url}{path}", headers=headers, timeout=10, trust_env=False)

    def chat(self, text: str = "Say hello.", **fields: Any) -> httpx2.Response:
        """Ask the local model for a few words."""
        messages = [{"role": "user", "content": text}]
        body = {"model": "smollm2-135m-instruct", "messages": messages, "max_tokens": 8, **fields}
        headers = as_(self.first_run["api_key"])
        url = f"{self.url}/v1/chat/completions"
        return httpx2.post(url, json=body, headers=headers, timeout=30, trust_env=False)

    def answers(self) -> bool:
        """Whether a chat call succeeds."""
        try:
            return self.chat().status_code == 200
        except httpx2.HTTPError:
            return False

    def balance(self) -> Decimal:
        """Return the balance of the first organisation, once nothing is frozen."""
        path = f"/api/organizations/{self.first_run['organization_id']}/wallet"

        def settled() -> dict[str, str] | None:
            wallet = self.get(path).json()
            return wallet if wallet["frozen"] == "0" else None

        return Decimal(wait(settled, 15)["balance"])


def wait(check: Callable[[], Any], within_s: float) -> Any:
    """Return what `check` returns once that is true."""
    deadline = time.monotonic() + within_s
    while True:
        found = check()
        if found:
            return found
        assert time.monotonic() < deadline, f"not true within {within_s} s"
        time.sleep(0.05)


def gone(processes: list[psutil.Process], within_s: float) -> None:
    """Check that every one of these processes ends in time."""
    _, alive = psutil.wait_procs(processes, timeout=within_s)
    left = [" ".join(process.cmdline())[:120] for process in alive if process.status() != "zombie"]
    assert left == [], f"still running after {within_s} s: {left}"
