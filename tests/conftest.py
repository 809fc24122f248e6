"""One PostgreSQL per run, a database per worker, a real gateway process per worker."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from deepspace.kit.embedded_postgres import THROW_AWAY, EmbeddedPostgres
from deepspace.migrations import migrate
from deepspace.testing.fake_upstream import FakeUpstream
from tests.support.live import Live, start_live
from tests.support.network import forbid_outside_network

TOGETHER = ("acceptance/test_up.py",)
_DIRECTORY = "TEST_POSTGRES_DIRECTORY"
_running: list[tuple[subprocess.Popen[bytes], Path]] = []


def pytest_configure(config: pytest.Config) -> None:
    """Start PostgreSQL in the process that controls the run; workers inherit its place."""
    for name in [name for name in os.environ if name.startswith("DEEPSPACE_")]:
        del os.environ[name]
    forbid_outside_network()
    if hasattr(config, "workerinput") or config.option.collectonly:
        return
    directory = Path(tempfile.mkdtemp(prefix="deepspace-test-"))
    directory.chmod(0o755)
    postgres = EmbeddedPostgres.at(directory / "postgres")
    postgres.initialise()
    with (directory / "postgres.log").open("wb") as log:
        process = subprocess.Popen(postgres.command(THROW_AWAY), user=postgres.run_as, stderr=log, stdout=log)
    postgres.wait_ready()
    os.environ[_DIRECTORY] = str(postgres.data_dir)
    _running.append((process, directory))


class TogetherScheduling(LoadScopeScheduling):
    """Spreads tests one by one, but keeps the files of TOGETHER whole: they share what is dear to start."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::")[0]
        return file if file.endswith(TOGETHER) else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> TogetherScheduling:
    """Choose how tests are spread over workers."""
    return TogetherScheduling(config, log)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop PostgreSQL and remove its data."""
    for process, directory in _running:
        process.terminate()
        process.wait(20)
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> EmbeddedPostgres:
    """The run's PostgreSQL."""
    return EmbeddedPostgres.at(Path(os.environ[_DIRECTORY]))


@pytest.fixture(scope="session")
def database_url(postgres: EmbeddedPostgres, worker_id: str) -> str:
    """This worker's migrated database."""
    name = f"test_{worker_id}"
    postgres.create_database(name)
    url = postgres.url(name)
    migrate(url)
    return url


@pytest.fixture(scope="session")
def upstream() -> Iterator[FakeUpstream]:
    """A provider that answers as its model's name says."""
    with FakeUpstream() as fake:
        yield fake


@pytest.fixture(scope="session")
def live(
    database_url: str, upstream: FakeUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    """A real gateway process on this worker's database, with the fake provider behind it."""
    with start_live(database_url, upstream, tmp_path_factory.mktemp("live")) as running:
        yield running
