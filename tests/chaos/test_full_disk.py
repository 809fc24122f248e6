"""F12: PostgreSQL's disk is full: calls are refused, nothing is corrupt, all goes on once there is room."""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from deepspace.audit.repository import AuditJournal
from deepspace.billing.errors import LedgerUnavailable
from deepspace.billing.ledger import Captured
from deepspace.billing.spool import Spool
from deepspace.billing.writer import LedgerWriter
from deepspace.kit.ids import uuid7
from tests.chaos.books import broken_invariants, capture_of, hold_request, make_org
from tests.chaos.cluster import Cluster, cluster

pytestmark = pytest.mark.timeout(170)


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of 160 MiB: PostgreSQL fits, and little else."""
    if os.geteuid() != 0:
        pytest.skip("mounting a tmpfs needs root")
    place = Path(tempfile.mkdtemp(prefix="deepspace-full-"))
    command = ["mount", "-t", "tmpfs", "-o", "size=160m,mode=755", "tmpfs", str(place)]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        place.rmdir()
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)
    place.rmdir()


def fill(place: Path) -> Path:
    """Use up the last byte."""
    ballast = place / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return ballast


async def until_it_holds(writer: LedgerWriter, org: UUID) -> None:
    """Try until a hold is taken again."""
    for _ in range(200):
        try:
            await writer.hold(hold_request(org, 1))
            return
        except LedgerUnavailable:
            await asyncio.sleep(0.1)
    raise AssertionError("holds are refused although there is room again")


def test_on_a_full_disk_holds_are_refused_and_settlements_are_kept_until_there_is_room(
    small_disk: Path, tmp_path: Path
) -> None:
    with cluster(small_disk / "pg") as server:
        with psycopg.connect(server.url, autocommit=True) as connection:
            org = make_org(connection, 10_000_000)
        told = asyncio.run(scene(server, small_disk, tmp_path, org))
        with psycopg.connect(server.url) as connection:
            captured = connection.execute(
                "SELECT count(*), sum(captured_nano) FROM holds WHERE state = 'captured'"
            ).fetchone()
            wallet = connection.execute("SELECT balance_nano FROM wallets").fetchone()
        assert captured == (told, told * 7)
        assert wallet == (10_000_000 - told * 7,)
        assert broken_invariants(server.url) == {}
    assert list((tmp_path / "spool").iterdir()) == []


async def scene(server: Cluster, disk: Path, tmp_path: Path, org: UUID) -> int:
    """Hold, fill the disk, settle, make room; return how many settlements were told to be durable."""
    boot_id = uuid7()
    spool = Spool(tmp_path / "spool", boot_id)
    writer = LedgerWriter(server.url, AuditJournal(), boot_id, spool, hold_ttl_s=600)
    await writer.start()
    requests = [hold_request(org, 100) for _ in range(300)]
    await asyncio.gather(*map(writer.hold, requests))
    ballast = fill(disk)
    refused = 0
    pending = [
        asyncio.create_task(writer.capture(capture_of(one, 7, answer=b"x" * 20_000))) for one in requests
    ]
    for _ in range(400):
        try:
            await writer.hold(hold_request(org, 1))
        except LedgerUnavailable:
            refused += 1
        if refused > 5:
            break
    assert refused > 5, "the disk was not full"
    assert await asyncio.gather(*pending) == [Captured(7, 0)] * len(requests)
    ballast.unlink()
    if server.process is not None and server.process.poll() is not None:  # it ends itself if its log is full
        await asyncio.to_thread(server.start)
    await until_it_holds(writer, org)
    await writer.ping()
    for _ in range(100):
        if not spool_bytes(tmp_path):
            break
        await asyncio.sleep(0.1)
    await writer.close()
    return len(requests)


def spool_bytes(tmp_path: Path) -> int:
    """Return how much waits on the spool."""
    return sum(file.stat().st_size for file in (tmp_path / "spool").glob("*.spool"))
