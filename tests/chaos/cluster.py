"""A PostgreSQL cluster of a test's own, durable, to be killed, paused and starved."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from deepspace.kit.embedded_postgres import DURABLE, EmbeddedPostgres
from deepspace.migrations import migrate


@dataclass
class Cluster:
    """The server and its data."""

    directory: Path
    postgres: EmbeddedPostgres
    process: subprocess.Popen[bytes] | None = None
    pids: list[int] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The platform's database in it."""
        return self.postgres.url("platform")

    def start(self) -> None:
        """Start the server; recovery included."""
        with (self.directory / "postgres.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.postgres.command(DURABLE), user=self.postgres.run_as, stderr=log, stdout=log
            )
        self.postgres.wait_ready()

    def family(self) -> list[int]:
        """Return the server's process ids, children first."""
        assert self.process is not None
        parent = self.process.pid
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        return [*map(int, children), parent]

    def kill(self) -> None:
        """End every process of the server by kill -9, as if the machine had lost it."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)  # so that it does not react to its children's death
        for pid in self.family():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(20)
        (self.postgres.data_dir / "postmaster.pid").unlink(missing_ok=True)
        time.sleep(0.1)

    def pause(self) -> None:
        """Stop every process in its tracks."""
        self.pids = self.family()
        for pid in self.pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let them go on."""
        for pid in self.pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def stop(self) -> None:
        """End the server."""
        if self.process is not None and self.process.poll() is None:
            self.resume()
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(20)


@contextmanager
def cluster(data_dir: Path | None = None) -> Iterator[Cluster]:
    """Lend a running cluster with a migrated database."""
    directory = Path(tempfile.mkdtemp(prefix="deepspace-chaos-"))
    directory.chmod(0o755)
    postgres = EmbeddedPostgres.at(data_dir or directory / "pg")
    found = Cluster(directory, postgres)
    try:
        postgres.initialise()
        found.start()
        postgres.create_database("platform")
        migrate(found.url)
        yield found
    finally:
        found.stop()
        shutil.rmtree(directory, ignore_errors=True)
