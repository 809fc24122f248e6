"""What the chaos tests share: gateways to be killed, a worker, clients that write down what they see."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import random
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import reduction
from pathlib import Path
from typing import Any

import aiohttp

from deepspace.cli.main import app
from deepspace.kit import failpoints
from tests.support.live import Live, launch, wait_ready

TTL_S = 5
"""How long a hold outlives its gateway here: the least that is allowed."""

PATIENCE_S = 60


@dataclass
class Fleet:
    """Gateway processes on one listening socket, and what their clients noted."""

    live: Live
    directory: Path
    listener: socket.socket
    processes: list[Any] = field(default_factory=list)
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where clients find the gateways."""
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    @property
    def record(self) -> Path:
        """The clients' own record."""
        return self.directory / "record.jsonl"

    @property
    def log(self) -> Path:
        """The processes' log."""
        return self.directory / "fleet.log"

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment of a process of the fleet."""
        return {
            "DEEPSPACE_DATABASE_URL": self.live.database_url,
            "DEEPSPACE_SECRET_KEY": self.live.secret_key,
            "DEEPSPACE_DATA_DIR": str(self.directory / "data"),
            "DEEPSPACE_HOLD_TTL_S": str(TTL_S),
            **self.extra,
            **more,
        }

    def start(self, *, ready: bool = True, **more: str) -> subprocess.Popen[bytes]:
        """Start a gateway on the socket."""
        process = launch(self.environment(**more), self.listener, self.log)
        self.processes.append(process)
        if ready:
            wait_ready(self.url, process, self.log)
        return process

    def fork(self, **more: str) -> Forked:
        """Start a gateway the quick way; `deepspace gateway` itself is started by `start`."""
        process = Forked(self.environment(**more), self.listener, self.log)
        self.processes.append(process)
        wait_ready(self.url, process, self.log)
        return process

    def start_beside(self) -> subprocess.Popen[bytes]:
        """Start a gateway beside another on the socket; return once the log says that it serves too."""
        marker = "Application startup complete"
        before = self.log.read_text().count(marker)
        process = self.start(ready=False)
        for _ in range(400):
            if self.log.read_text().count(marker) > before:
                return process
            time.sleep(0.05)
        raise AssertionError(self.log.read_text()[-2000:])

    def start_worker(self, **more: str) -> subprocess.Popen[bytes]:
        """Start a worker: its sweeper ends the holds of the dead."""
        with self.log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "deepspace", "worker"],
                env={**os.environ, **self.environment(**more)},
                stdout=output,
                stderr=output,
            )
        self.processes.append(process)
        return process

    def audit(self, *flags: str, within_s: float = 20) -> str:
        """Run the independent auditor until it finds nothing, or time is up; return what it said."""
        command = [sys.executable, str(Path(__file__).parent / "auditor.py"), self.live.database_url]
        command += [str(self.record), *flags] if self.record.exists() else flags
        deadline = time.monotonic() + within_s
        while True:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode == 0 or time.monotonic() > deadline:
                assert done.returncode == 0, done.stdout + done.stderr
                return done.stdout
            time.sleep(0.5)

    def stop(self) -> None:
        """End every process."""
        for process in self.processes:
            process.kill()
            process.wait(20)
        self.listener.close()


class Forked:
    """A gateway forked from a process that has imported everything: a tenth of the time to start."""

    def __init__(self, environment: dict[str, str], listener: socket.socket, log: Path) -> None:
        """Start it."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["deepspace.cli.main"])
        self._process = context.Process(target=_serve, args=(environment, _Socket(listener), str(log)))
        self._process.start()

    def poll(self) -> int | None:
        """Return the exit code, None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float) -> int | None:
        """Wait for the end and return the exit code."""
        self._process.join(timeout)
        return self._process.exitcode

    def kill(self) -> None:
        """Kill -9."""
        self._process.kill()


class _Socket:
    """A listening socket on its way into a forked process."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener

    def __reduce__(self) -> Any:
        return _received, (reduction.DupFd(self._listener.fileno()),)


def _received(handed: Any) -> int:
    return handed.detach()


def _serve(environment: dict[str, str], descriptor: int, log: str) -> None:
    """Be a gateway, as the command `deepspace gateway --fd` is."""
    os.environ.update(environment)
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(output, 1)
    os.dup2(output, 2)
    failpoints._ARMED.update(failpoints._armed(environment.get("FAILPOINTS", "")))
    app(["gateway", "--fd", str(descriptor)])


@contextmanager
def fleet(live: Live, directory: Path, **extra: str) -> Iterator[Fleet]:
    """Lend a fleet without processes yet."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    found = Fleet(live, directory, listener, extra=extra)
    try:
        yield found
    finally:
        found.stop()


@dataclass
class Call:
    """A call a client wants to have answered once."""

    model: str
    text: str
    stream: bool
    ref: str | None
    max_tokens: int = 40

    @property
    def body(self) -> dict[str, Any]:
        """The request."""
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": "user", "content": self.text}],
            "max_tokens": self.max_tokens,
        }
        return body | ({"stream": True, "stream_options": {"include_usage": True}} if self.stream else {})


@dataclass
class Try:
    """How one try ended: `answered` (complete, with its cost), `refused`, or `lost` half-way."""

    outcome: str
    status: int | None = None
    code: str | None = None
    cost: str | None = None
    replayed: bool = False
    ref: str | None = None
    text: str = ""
    body: bytes = b""


async def try_once(session: aiohttp.ClientSession, base: str, key: str, call: Call) -> Try:
    """Make one try, and see exactly what a client sees."""
    headers = {"authorization": f"Bearer {key}"}
    if call.ref is not None:
        headers["idempotency-key"] = call.ref
    seen = Try("lost", ref=call.ref)
    try:
        async with session.post(f"{base}/v1/chat/completions", json=call.body, headers=headers) as response:
            seen.status = response.status
            seen.ref = response.headers.get("x-billing-ref-id", call.ref)
            seen.replayed = response.headers.get("idempotent-replayed") == "true"
            async for piece in response.content.iter_any():
                seen.body += piece
    except (aiohttp.ClientError, OSError, TimeoutError):
        seen.text = _text(seen.body)
        return seen
    if seen.status != 200:
        seen.outcome = "refused"
        seen.code = json.loads(seen.body)["error"]["code"]
        return seen
    return _read_answer(seen, stream=call.stream)


def _events(body: bytes) -> list[dict[str, Any]]:
    blocks = [block for block in body.decode(errors="replace").split("\n\n") if block.startswith("data: {")]
    return [json.loads(block[6:]) for block in blocks if block.endswith("}")]


def _text(body: bytes) -> str:
    if not body.startswith((b"data:", b"event:", b":")):
        return ""
    parts = [choice["delta"].get("content") or "" for e in _events(body) for choice in e.get("choices", [])]
    return "".join(parts)


def _read_answer(seen: Try, *, stream: bool) -> Try:
    if not stream:
        answer = json.loads(seen.body)
        seen.outcome, seen.cost = "answered", answer["usage"]["cost"]
        seen.text = answer["choices"][0]["message"]["content"]
        return seen
    seen.text = _text(seen.body)
    if seen.body.endswith(b"data: [DONE]\n\n"):
        seen.outcome, seen.cost = "answered", _events(seen.body)[-1]["usage"]["cost"]
    return seen


async def until_answered(
    session: aiohttp.ClientSession, base: str, key: str, org: str, call: Call, record: Path
) -> list[Try]:
    """Try again under the same reference until the answer is complete, as a careful client does."""
    tries: list[Try] = []
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        tries.append(await try_once(session, base, key, call))
        note(record, org, tries[-1])
        if tries[-1].outcome == "answered" or tries[-1].code in {"answer_not_kept", "insufficient_funds"}:
            return tries
        if call.ref is None:
            return tries
        await asyncio.sleep(0.1 + random.random() * 0.2)
    raise AssertionError(
        f"no answer in {PATIENCE_S} s: {[(t.outcome, t.status, t.code) for t in tries][-5:]}"
    )


def note(record: Path, org: str, seen: Try) -> None:
    """Write down what a client saw, at once."""
    line = {"org": org, "ref": seen.ref, "outcome": seen.outcome, "status": seen.status, "cost": seen.cost}
    with record.open("a") as file:
        file.write(json.dumps(line) + "\n")


def session(connections: int = 100, timeout_s: float = 30) -> aiohttp.ClientSession:
    """Return a session whose connections are not kept: a new process gets its share at once."""
    connector = aiohttp.TCPConnector(limit=connections, force_close=True)
    return aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=timeout_s))


def calls(count: int, *, model: str = "fake-echo", keyed: bool = True, words: int = 5) -> list[Call]:
    """Return calls, half of them streams, each with a text of its own."""
    made: list[Call] = []
    for number in range(count):
        name = uuid.uuid4().hex
        text = f"{name} " + "word " * (words - 1)
        made.append(Call(model, text.strip(), number % 2 == 1, f"k-{name}" if keyed else None))
    return made
