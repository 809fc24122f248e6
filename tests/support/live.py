"""A real gateway process and a client that speaks HTTP to it."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2

from deepspace.cli import administration
from deepspace.settings import load_settings
from deepspace.testing.fake_upstream import BEHAVIOURS, FakeUpstream
from deepspace.wiring import wire

PASSWORD = "a long enough password"
TIMEOUTS = {"connect_s": 2, "first_byte_s": 5, "idle_s": 5, "total_s": 30}
PRICE = {"input": "0.5", "cached_input": "0.05", "output": "2"}


@dataclass
class Tenant:
    """An organisation with an owner, a project and a key."""

    email: str
    organization_id: str
    project_id: str
    api_key: str
    token: str


@dataclass
class Live:
    """A running gateway. `http` has no credentials; pass `headers=as_(key)`."""

    url: str
    database_url: str
    secret_key: str
    admin_email: str
    admin_password: str
    api_key: str
    organization_id: str
    project_id: str
    upstream: FakeUpstream
    http: httpx2.Client
    process: subprocess.Popen[bytes]
    log: Path

    def call(self, path: str, key: str | None = None, method: str = "GET", **options: Any) -> httpx2.Response:
        """Make a request with a credential (an API key or an access token)."""
        headers = {**as_(key or self.api_key), **options.pop("headers", {})}
        return self.http.request(method, path, headers=headers, **options)

    def chat(self, model: str, text: str, key: str | None = None, **fields: Any) -> httpx2.Response:
        """Make a chat call."""
        body = {"model": model, "messages": [{"role": "user", "content": text}], **fields}
        return self.call("/v1/chat/completions", key, "POST", json=body)

    def wallet(self, organization_id: str | None = None, key: str | None = None) -> dict[str, Any]:
        """Return an organisation's wallet as it is now."""
        path = f"/api/organizations/{organization_id or self.organization_id}/wallet"
        response = self.call(path, key)
        assert response.status_code == 200, response.text
        return response.json()

    def balance(self, organization_id: str | None = None, key: str | None = None) -> Decimal:
        """Return an organisation's balance, once nothing is frozen any more."""
        for _ in range(200):
            wallet = self.wallet(organization_id, key)
            if wallet["frozen"] == "0":
                return Decimal(wallet["balance"])
            time.sleep(0.05)
        raise AssertionError(f"money stays frozen: {wallet}")

    def trace(self, trace_id: str, key: str | None = None, *, settled: bool = True) -> dict[str, Any]:
        """Return the story of a call, once it is settled."""
        for _ in range(100):
            response = self.call(f"/api/traces/{trace_id}", key)
            if response.status_code == 200 and (not settled or response.json()["state"] != "held"):
                return response.json()
            time.sleep(0.05)
        raise AssertionError(f"trace {trace_id} did not settle: {response.status_code} {response.text}")

    def tenant(self, balance: str = "1", name: str = "Lab") -> Tenant:
        """Create another organisation with an owner, a project, a funded wallet and a key."""
        email = f"{uuid.uuid4().hex}@example.org"
        made = in_process(self, administration.create_user, email, "Owner", PASSWORD, name, operator=False)
        if Decimal(balance):
            in_process(self, administration.top_up, made["organization_id"], balance, "test")
        token = self.login(email, PASSWORD)
        body = {"name": "key", "project_id": made["project_id"]}
        path = f"/api/organizations/{made['organization_id']}/api-keys"
        key = self.call(path, token, "POST", json=body).json()["secret"]
        return Tenant(email, made["organization_id"], made["project_id"], key, token)

    def key(self, tenant: Tenant | None = None, **fields: Any) -> tuple[str, str]:
        """Make an API key, of the operator's organisation unless told; return (id, secret)."""
        org = tenant.organization_id if tenant else self.organization_id
        project = tenant.project_id if tenant else self.project_id
        token = tenant.token if tenant else self.operator_token()
        body = {"name": "another key", "project_id": project, **fields}
        response = self.call(f"/api/organizations/{org}/api-keys", token, "POST", json=body)
        assert response.status_code == 201, response.text
        return response.json()["id"], response.json()["secret"]

    def channel(self, *models: dict[str, Any], price: bool = True, **fields: Any) -> dict[str, Any]:
        """Create a channel to the fake provider and publish a price for each of its models."""
        token = self.operator_token()
        body = {
            "name": f"channel-{uuid.uuid4().hex[:8]}",
            "kind": "newapi",
            "base_url": self.upstream.base_url,
            "api_key": self.upstream.api_key,
            "models": list(models),
            "timeouts": TIMEOUTS,
            **fields,
        }
        response = self.call("/api/admin/channels", token, "POST", json=body)
        assert response.status_code == 201, response.text
        for model in models if price else ():
            priced = {"model": model["model"], "per_million": PRICE}
            made = self.call("/api/admin/prices", token, "POST", json=priced)
            assert made.status_code in {201, 409}, made.text  # 409: priced by an earlier channel
        return response.json()

    def login(self, email: str, password: str) -> str:
        """Return an access token."""
        response = self.http.post("/api/auth/login", json={"email": email, "password": password})
        assert response.status_code == 200, response.text
        self.http.cookies.clear()
        return response.json()["access_token"]

    def operator_token(self) -> str:
        """Return an access token of the operator."""
        return self.login(self.admin_email, self.admin_password)


def as_(credential: str) -> dict[str, str]:
    """Return the header that carries a credential."""
    return {"authorization": f"Bearer {credential}"}


def in_process(live: Live, act: Any, *args: Any, **options: Any) -> dict[str, str]:
    """Run one of the command line's acts on the live database, as the command does."""
    settings = load_settings({}, database_url=live.database_url, secret_key=live.secret_key)

    async def run() -> dict[str, str]:
        platform = wire(settings)
        try:
            return await act(platform, *args, **options)
        finally:
            await platform.close()

    return asyncio.run(run())


def start_gateway(
    environment: Mapping[str, str], log: Path, port: int = 0
) -> tuple[subprocess.Popen[bytes], str, socket.socket]:
    """Start a gateway process on a socket of ours and wait until it is ready."""
    listener = socket.create_server(("127.0.0.1", port), backlog=512)
    process = launch(environment, listener, log)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    wait_ready(url, process, log)
    return process, url, listener


def launch(environment: Mapping[str, str], listener: socket.socket, log: Path) -> subprocess.Popen[bytes]:
    """Start a gateway process on a listening socket."""
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "deepspace", "gateway", "--fd", str(listener.fileno())],
            env={**os.environ, **environment},
            pass_fds=(listener.fileno(),),
            stdout=output,
            stderr=output,
        )


def wait_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return once the gateway answers /ready."""
    for _ in range(300):
        if process.poll() is not None:
            raise AssertionError(f"the gateway ended:\n{log.read_text()}")
        try:
            if httpx2.get(f"{url}/ready", timeout=2).status_code == 200:
                return
        except httpx2.HTTPError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"the gateway did not become ready:\n{log.read_text()}")


@contextmanager
def start_live(database_url: str, upstream: FakeUpstream, directory: Path) -> Iterator[Live]:
    """Run a gateway on a database, with an operator, an organisation, channels and prices."""
    secret_key = secrets.token_hex(32)
    environment = {"DEEPSPACE_DATABASE_URL": database_url, "DEEPSPACE_SECRET_KEY": secret_key}
    environment["DEEPSPACE_MAX_BODY_MIB"] = "1"
    environment["DEEPSPACE_DATA_DIR"] = str(directory / "data")
    environment["DEEPSPACE_DATA_DIR"] = str(directory / "data")
    process, url, listener = start_gateway(environment, directory / "gateway.log")
    http = httpx2.Client(base_url=url, timeout=30, trust_env=False)
    try:
        log = directory / "gateway.log"
        running = Live(url, database_url, secret_key, "", PASSWORD, "", "", "", upstream, http, process, log)
        _furnish(running)
        yield running
    finally:
        http.close()
        process.terminate()
        process.wait(20)
        listener.close()


def _furnish(live: Live) -> None:
    live.admin_email = f"operator-{uuid.uuid4().hex[:8]}@example.org"
    made = in_process(
        live, administration.create_user, live.admin_email, "Operator", PASSWORD, "Test lab", operator=True
    )
    live.organization_id, live.project_id = made["organization_id"], made["project_id"]
    in_process(live, administration.top_up, live.organization_id, "10", "test")
    token = live.operator_token()
    body = {"name": "first key", "project_id": live.project_id}
    response = live.call(f"/api/organizations/{live.organization_id}/api-keys", token, "POST", json=body)
    live.api_key = response.json()["secret"]
    lively = [name for name in BEHAVIOURS if not name.startswith("fake-hang")]
    silent = [name for name in BEHAVIOURS if name.startswith("fake-hang")]
    live.channel(*_served(lively))
    live.channel(*_served(silent), timeouts={**TIMEOUTS, "first_byte_s": 0.4, "idle_s": 0.4})
    live.channel(*_served(["fake-unpriced"]), price=False)


def _served(names: list[str]) -> list[dict[str, Any]]:
    return [{"model": name, "max_output_tokens": 200} for name in names]
