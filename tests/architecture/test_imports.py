"""The import law, and that it bites."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.source import PACKAGE, REPOSITORY


def lint(directory: Path) -> subprocess.CompletedProcess[str]:
    """Run the law on the package in a directory."""
    program = Path(sys.executable).parent / "lint-imports"
    command = [str(program), "--no-cache", "--no-logo", "--config", str(REPOSITORY / ".importlinter")]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package that breaks every contract once."""
    directory = tmp_path_factory.mktemp("law")
    shutil.copytree(PACKAGE, directory / "deepspace", ignore=shutil.ignore_patterns("__pycache__"))
    for module, line in BROKEN.values():
        path = directory / "deepspace" / module
        path.parent.mkdir(exist_ok=True)
        path.write_text((path.read_text() if path.exists() else "") + f"\n{line}\n")
    return directory


BROKEN = {
    "a lower room uses a higher one": ("kit/money.py", "import deepspace.billing.rates"),
    "neighbours know each other": ("billing/rates.py", "import deepspace.upstream.wire"),
    "a new room has no place": ("rumpus/__init__.py", ""),
    "another slice's repository is used": ("pipeline/chat.py", "import deepspace.billing.repository"),
    "a service knows the web framework": ("billing/service.py", "import fastapi"),
    "an endpoint writes SQL": ("billing/endpoints.py", "import sqlalchemy"),
}


def test_the_package_keeps_the_law() -> None:
    done = lint(REPOSITORY)
    assert done.returncode == 0, done.stdout


def test_every_way_of_breaking_the_law_is_found(copy: Path) -> None:
    done = lint(copy)
    assert done.returncode != 0
    text = " ".join(done.stdout.split())
    for expected in (
        "deepspace.kit.money -> deepspace.billing.rates",
        "deepspace.billing.rates -> deepspace.upstream.wire",
        "rumpus",
        "deepspace.pipeline.chat -> deepspace.billing.repository",
        "deepspace.billing.service -> fastapi",
        "deepspace.billing.endpoints -> sqlalchemy",
    ):
        assert expected in text, done.stdout
