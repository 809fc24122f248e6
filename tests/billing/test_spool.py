"""The spool: what was flushed is found again, damage is noticed, nothing is taken from the living."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepspace.audit.entry import AuditEntry
from deepspace.audit.repository import AuditJournal
from deepspace.billing import spooling
from deepspace.billing.ledger import Capture, Release, StoredAnswer
from deepspace.billing.rates import TOKEN_CLASSES, Usage
from deepspace.billing.spool import Spool, SpoolFull, read_spool
from deepspace.kit.ids import uuid7
from tests.chaos.books import LONG

LINES = ["first", "zweite – ü", "third " * 50]


def written(directory: Path, lines: list[str] = LINES) -> Path:
    """Leave the spool of a process that died, and return its file."""
    spool = Spool(directory, uuid7())
    for line in lines:
        spool.append(line)
    assert spool._descriptor is not None
    os.close(spool._descriptor)  # the kernel does this when a process is killed
    [path] = directory.glob("*.spool")
    return path


def adopted(directory: Path) -> list[tuple[list[str], int]]:
    """Adopt what is there, as the next process does."""
    return [(found.lines, found.damaged) for found in Spool(directory, uuid7()).adopt_orphans()]


def test_what_was_appended_is_adopted_once_in_its_order(tmp_path: Path) -> None:
    written(tmp_path)
    assert adopted(tmp_path) == [(LINES, 0)]
    assert adopted(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_created_before_the_first_line_and_nothing_stays_after_an_empty_end(
    tmp_path: Path,
) -> None:
    spool = Spool(tmp_path / "spool", uuid7())
    assert adopted(tmp_path / "spool") == []
    spool.close()
    assert not (tmp_path / "spool").exists()
    spool.append("line")
    spool.clear()
    spool.close()
    assert list((tmp_path / "spool").iterdir()) == []


def test_lines_after_a_clear_stand_alone(tmp_path: Path) -> None:
    spool = Spool(tmp_path, uuid7())
    spool.append("old")
    spool.clear()
    spool.append("new")
    [path] = tmp_path.glob("*.spool")
    assert read_spool(path).lines == ["new"]
    spool.close()


def test_an_adopter_that_dies_before_it_is_done_leaves_the_file(tmp_path: Path) -> None:
    written(tmp_path)
    adoption = Spool(tmp_path, uuid7()).adopt_orphans()
    assert next(adoption).lines == LINES
    adoption.close()  # type: ignore[attr-defined]
    assert adopted(tmp_path) == [(LINES, 0)]


@pytest.mark.parametrize("cut", [2, 5, 12, 200])
def test_a_torn_last_line_is_noticed_and_the_lines_before_it_are_kept(tmp_path: Path, cut: int) -> None:
    path = written(tmp_path)
    path.write_bytes(path.read_bytes()[:-cut])
    assert adopted(tmp_path) == [(LINES[:2], 1)]
    assert [left.suffix for left in tmp_path.iterdir()] == [".damaged"]  # kept for a person to look at


def test_any_flipped_bit_is_noticed_and_every_other_line_is_kept(tmp_path: Path) -> None:
    path = written(tmp_path)
    good = path.read_bytes()
    for position in range(0, len(good), 1 if LONG else 3):
        flipped = bytearray(good)
        flipped[position] ^= 1 << (position % 8)
        path.write_bytes(flipped)
        found = read_spool(path)
        assert found.damaged >= 1, position
        assert set(found.lines) < set(LINES)
        assert len(found.lines) >= len(LINES) - 2  # a changed line end joins two lines


@given(st.binary(max_size=300))
def test_no_content_of_a_file_stops_the_reader(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("noise") / "x.spool"
    path.write_bytes(data)
    assert read_spool(path).lines == []


def test_a_line_with_a_line_end_of_its_own_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="line end"):
        Spool(tmp_path, uuid7()).append("two\nlines")


def _hold_a_spool(directory: str, ready: Any, release: Any) -> None:
    Spool(Path(directory), uuid7()).append("of a living process")
    ready.set()
    release.wait(30)


def test_the_spool_of_a_living_process_is_not_taken_and_that_of_a_killed_one_is(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready, release = context.Event(), context.Event()
    process = context.Process(target=_hold_a_spool, args=(str(tmp_path), ready, release))
    process.start()
    try:
        assert ready.wait(30)
        assert adopted(tmp_path) == []
        process.kill()
        process.join(10)
        assert adopted(tmp_path) == [(["of a living process"], 0)]
    finally:
        process.kill()
        process.join(10)
        process.close()


def test_a_file_that_another_adopter_removes_meanwhile_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = written(tmp_path)
    kept = Spool(tmp_path, uuid7())
    real_open = os.open

    def open_late(path: Any, *arguments: Any, **options: Any) -> int:
        descriptor = real_open(path, *arguments, **options)
        if Path(path) == gone:  # the other adopter finishes between our open and our lock
            gone.unlink(missing_ok=True)
        return descriptor

    monkeypatch.setattr(os, "open", open_late)
    assert list(kept.adopt_orphans()) == []


def test_a_spool_is_never_seen_by_adopters_before_its_owner_has_locked_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    real_lock = fcntl.flock

    def lock_late(descriptor: int, how: int) -> None:
        if how == fcntl.LOCK_EX:  # the owner, about to lock: another process looks for orphans just now
            monkeypatch.setattr(fcntl, "flock", real_lock)
            seen.extend(adopted(tmp_path))
        real_lock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", lock_late)
    spool = Spool(tmp_path, uuid7())
    spool.append("must not be lost")
    assert seen == []
    [path] = tmp_path.glob("*.spool")
    assert read_spool(path).lines == ["must not be lost"]
    spool.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    place = tmp_path / "small"
    place.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a tmpfs needs root")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_refuses_the_line_and_spoils_none_before_it(small_disk: Path) -> None:
    spool = Spool(small_disk, uuid7())
    kept = 0
    with suppress(SpoolFull):
        for kept in range(100):
            spool.append(f"{kept} " + "x" * 5000)
    [path] = small_disk.glob("*.spool")
    assert 5 < kept < 20
    found = read_spool(path)
    assert (len(found.lines), found.damaged) == (kept, 0)
    with pytest.raises(SpoolFull, match="No space left"):
        spool.append("y" * 9000)
    spool.clear()
    spool.append("room again")
    assert read_spool(path).lines == ["room again"]
    spool.close()


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
ENTRIES = st.builds(
    AuditEntry,
    id=st.uuids(),
    org_id=st.none() | st.uuids(),
    event=TEXTS,
    trace_id=st.none() | TEXTS,
    actor_kind=TEXTS,
    actor_id=st.none() | st.uuids(),
    detail=TEXTS,
)
JOURNALS = st.lists(ENTRIES, max_size=3).map(tuple)
NUMBERS = st.integers(0, 2**63 - 1)
USAGES = st.builds(Usage, **dict.fromkeys(TOKEN_CLASSES, NUMBERS))
ANSWERS = st.builds(StoredAnswer, st.integers(100, 599), TEXTS, st.binary(max_size=200))
SETTLEMENTS = st.one_of(
    st.builds(Release, st.uuids(), st.uuids(), JOURNALS, st.booleans()),
    st.builds(
        Capture,
        org_id=st.uuids(),
        hold_id=st.uuids(),
        usage=USAGES,
        cost_nano=NUMBERS,
        source=st.sampled_from(["reported", "estimated", "checkpoint"]),
        channel_id=st.none() | st.uuids(),
        journal=JOURNALS,
        answer=st.none() | ANSWERS,
    ),
)


@settings(max_examples=5000 if LONG else 200, deadline=None)
@given(SETTLEMENTS)
def test_every_settlement_comes_back_from_its_line_as_it_was(op: Capture | Release) -> None:
    line = spooling.encode(op, AuditJournal())
    assert "\n" not in line
    assert spooling.decode(line, AuditJournal()) == op


def test_a_line_written_before_expiries_were_marked_is_still_read() -> None:
    line = f'{{"op":"release","org_id":"{UUID(int=1)}","hold_id":"{UUID(int=2)}","journal":[]}}'
    assert spooling.decode(line, AuditJournal()) == Release(UUID(int=1), UUID(int=2))
