"""A platform to measure: PostgreSQL with durable settings, the fake provider, one gateway process."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import httpx2

from bench.exchanges import MODEL, PER_MILLION
from deepspace.accounts.key_service import KeyWish
from deepspace.accounts.org_repository import MemberRepository
from deepspace.cli import administration
from deepspace.kit.embedded_postgres import DURABLE, EmbeddedPostgres
from deepspace.kit.money import micro_per_million
from deepspace.migrations import migrate
from deepspace.settings import load_settings
from deepspace.upstream.service import ServedModel
from deepspace.wiring import Platform, wire
from tests.support.live import start_gateway

STARTING_BALANCE = "100000"


@dataclass(frozen=True, slots=True)
class Stack:
    """What is running, and who may call it."""

    postgres_pid: int
    gateway_pid: int
    gateway_port: int
    upstream_port: int
    api_key: str
    organization_id: str
    database_url: str
    secret_key: str
    ready_after_s: float
    directory: Path

    def wallet(self) -> dict[str, Decimal]:
        """Return balance and frozen amount, asked through the public API."""
        url = f"http://127.0.0.1:{self.gateway_port}/api/organizations/{self.organization_id}/wallet"
        answer = httpx2.get(url, headers={"authorization": f"Bearer {self.api_key}"}, trust_env=False)
        answer.raise_for_status()
        return {name: Decimal(answer.json()[name]) for name in ("balance", "frozen")}


@contextmanager
def postgres_server(directory: Path) -> Iterator[tuple[EmbeddedPostgres, int]]:
    """Run PostgreSQL as `deepspace up` runs it; yields the server and its process id."""
    postgres = EmbeddedPostgres.at(directory / "postgres")
    postgres.initialise()
    with (directory / "postgres.log").open("wb") as log:
        process = subprocess.Popen(postgres.command(DURABLE), user=postgres.run_as, stdout=log, stderr=log)
    try:
        postgres.wait_ready()
        yield postgres, process.pid
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def fake_upstream() -> Iterator[int]:
    """Run the fake provider; yields its port."""
    command = [sys.executable, "-m", "bench.fake_upstream"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.terminate()


async def _furnish(platform: Platform, upstream_port: int) -> tuple[str, str]:
    """Create an organisation with money, a key, a channel and a price; return its id and the key."""
    email = f"{uuid.uuid4().hex}@example.org"
    made = await administration.create_user(
        platform, email, "Bench", secrets.token_urlsafe(12), "Bench", operator=False
    )
    org_id = uuid.UUID(made["organization_id"])
    await administration.top_up(platform, made["organization_id"], STARTING_BALANCE, "bench")
    async with platform.database.platform() as tx:
        wish = KeyWish(name="bench", project_id=uuid.UUID(made["project_id"]))
        key = await platform.keys.issue(tx, org_id, wish, created_by=None)
        await platform.channels.create(
            tx,
            name="bench",
            kind="newapi",
            base_url=f"http://127.0.0.1:{upstream_port}/v1",
            api_key="sk-bench",
            models=[ServedModel(MODEL, MODEL, max_output_tokens=64)],
        )
        await platform.billing.publish_price(
            tx,
            model=MODEL,
            rates={name: micro_per_million(rate) for name, rate in PER_MILLION.items()},
            per_call_nano=0,
            tiers=(),
            effective_at=None,
            actor=None,
        )
    return made["organization_id"], key.secret


async def _furnished(database_url: str, secret_key: str, upstream_port: int) -> tuple[str, str]:
    platform = wire(load_settings({}, database_url=database_url, secret_key=secret_key))
    try:
        return await _furnish(platform, upstream_port)
    finally:
        await platform.close()


@contextmanager
def running_stack() -> Iterator[Stack]:
    """Run everything in a temporary directory, and take it down again."""
    directory = Path(tempfile.mkdtemp(prefix="deepspace-bench-"))
    directory.chmod(0o755)
    try:
        with postgres_server(directory) as (postgres, postgres_pid), fake_upstream() as upstream_port:
            postgres.create_database("bench")
            url, secret_key = postgres.url("bench"), secrets.token_hex(32)
            migrate(url)
            org_id, api_key = asyncio.run(_furnished(url, secret_key, upstream_port))
            environment = {
                "DEEPSPACE_DATABASE_URL": url,
                "DEEPSPACE_SECRET_KEY": secret_key,
                "DEEPSPACE_DATA_DIR": str(directory),
            }
            started = time.perf_counter()
            process, _, listener = start_gateway(environment, directory / "gateway.log")
            ready = round(time.perf_counter() - started, 2)
            try:
                port = listener.getsockname()[1]
                yield Stack(
                    postgres_pid,
                    process.pid,
                    port,
                    upstream_port,
                    api_key,
                    org_id,
                    url,
                    secret_key,
                    ready,
                    directory,
                )
            finally:
                process.terminate()
                process.wait(30)
                listener.close()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def people(stack: Stack, count: int) -> list[str]:
    """Make members of the organisation, sign them in and return their access tokens."""
    password = secrets.token_urlsafe(12)
    emails = [f"person-{number}-{uuid.uuid4().hex[:6]}@example.org" for number in range(count)]
    asyncio.run(_join(stack, emails, password))
    tokens: list[str] = []
    with httpx2.Client(base_url=f"http://127.0.0.1:{stack.gateway_port}", trust_env=False) as client:
        for email in emails:
            answer = client.post("/api/auth/login", json={"email": email, "password": password})
            answer.raise_for_status()
            client.cookies.clear()
            tokens.append(answer.json()["access_token"])
    return tokens


async def _join(stack: Stack, emails: list[str], password: str) -> None:
    settings = load_settings({}, database_url=stack.database_url, secret_key=stack.secret_key)
    platform = wire(settings)
    try:
        async with platform.database.platform() as tx:
            for email in emails:
                user_id = await platform.accounts.create_user(tx, email=email, name="P", password=password)
                await MemberRepository(tx, uuid.UUID(stack.organization_id)).add(user_id, "admin")
    finally:
        await platform.close()
