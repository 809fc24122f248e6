"""Settlements on local disk, for when the database is away: one line each, flushed to disk before it counts.

A line is `crc32 json`. A torn or changed line is found by its checksum when the file is read: the good lines
are kept, the bad ones are set aside under the name `….damaged` and reported. A file belongs to one process,
which holds a lock on it; a file without a live owner is adopted by the next process that starts.
"""

from __future__ import annotations

import fcntl
import os
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from deepspace.kit.log import get_logger

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Recovered:
    """What an orphaned file held."""

    path: Path
    lines: list[str]
    damaged: int

    def set_aside(self) -> None:
        """Keep a copy for a person to look at, under the name `….damaged`."""
        self.path.with_suffix(".damaged").write_bytes(self.path.read_bytes())


class SpoolFull(OSError):
    """The line could not be written to disk."""


class Spool:
    """The spool of one process."""

    def __init__(self, directory: Path, boot_id: UUID) -> None:
        """Nothing is created before the first line."""
        self._directory = directory
        self._path = directory / f"{boot_id}.spool"
        self._descriptor: int | None = None
        self._lock = threading.Lock()

    def append(self, line: str) -> None:
        """Write a line and return once it is on disk; SpoolFull if it cannot be."""
        data = _frame(line)
        try:
            with self._lock:
                self._append(data)
        except OSError as error:
            raise SpoolFull(error.errno, f"the spool cannot be written: {error.strerror}") from error

    def _append(self, data: bytes) -> None:
        descriptor = self._opened()
        start = os.lseek(descriptor, 0, os.SEEK_END)
        try:
            _write_all(descriptor, data)
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, start)  # no half line stays
            raise

    def clear(self) -> None:
        """Forget every line: the database has them."""
        with self._lock:
            if self._descriptor is not None:
                os.ftruncate(self._descriptor, 0)
                os.fsync(self._descriptor)

    def close(self) -> None:
        """Let go of the file; an empty one is removed."""
        if self._descriptor is None:
            return
        if os.fstat(self._descriptor).st_size == 0:
            self._path.unlink(missing_ok=True)
        os.close(self._descriptor)
        self._descriptor = None

    def adopt_orphans(self) -> Iterator[Recovered]:
        """Yield the content of each file whose owner is gone; it is removed once the caller asks for the
        next."""
        if not self._directory.is_dir():
            return
        for path in sorted(self._directory.glob("*.spool")):
            if path == self._path:
                continue
            try:
                descriptor = os.open(path, os.O_RDWR)
            except FileNotFoundError:  # another process has adopted it
                continue
            try:
                if not _take(descriptor, path):
                    continue
                recovered = read_spool(path)
                if recovered.damaged:
                    log.error("spool has damaged lines", path=path.name, damaged=recovered.damaged)
                    recovered.set_aside()
                yield recovered
                path.unlink(missing_ok=True)
            finally:
                os.close(descriptor)

    def _opened(self) -> int:
        """Return the open file. It gets its name only when it is locked, or an adopter could take it away."""
        if self._descriptor is None:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            unnamed = self._path.with_suffix(".new")
            descriptor = os.open(unnamed, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                unnamed.rename(self._path)
                directory = os.open(self._directory, os.O_RDONLY)
                os.fsync(directory)
                os.close(directory)
            except OSError:
                os.close(descriptor)
                raise
            self._descriptor = descriptor
        return self._descriptor


def _take(descriptor: int, path: Path) -> bool:
    """Lock a file; False if its owner lives, or another adopter has removed it meanwhile."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except (BlockingIOError, FileNotFoundError):
        return False


def _frame(line: str) -> bytes:
    data = line.encode()
    if b"\n" in data:
        raise ValueError("a spool line has no line end of its own")
    return b"%08x " % zlib.crc32(data) + data + b"\n"


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def read_spool(path: Path) -> Recovered:
    """Return the good lines of a file, and how many were not."""
    lines: list[str] = []
    damaged = 0
    raw = path.read_bytes()
    for part in raw.split(b"\n")[: None if raw and not raw.endswith(b"\n") else -1]:
        checksum, _, data = part.partition(b" ")
        if checksum == b"%08x" % zlib.crc32(data):
            lines.append(data.decode())
        else:
            damaged += 1
    return Recovered(path, lines, damaged)
