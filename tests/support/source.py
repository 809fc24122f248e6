"""The repository's own source, parsed."""

from __future__ import annotations

import ast
import subprocess
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent.parent
PACKAGE = REPOSITORY / "deepspace"


@cache
def python_files(*roots: str) -> tuple[Path, ...]:
    """Return every Python file below the roots, without migrations: those are written once and never read
    again."""
    found = [path for root in roots for path in sorted((REPOSITORY / root).rglob("*.py"))]
    return tuple(path for path in found if "versions" not in path.parts and "node_modules" not in path.parts)


@cache
def tree_of(path: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse(path.read_text())


def tracked(*patterns: str) -> list[Path]:
    """Return the files that git knows and that match."""
    done = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "--", *patterns],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    return [REPOSITORY / name for name in done.stdout.splitlines() if (REPOSITORY / name).is_file()]


def where(path: Path, line: int) -> str:
    """Return a place as an editor wants it."""
    return f"{path.relative_to(REPOSITORY) if path.is_relative_to(REPOSITORY) else path.name}:{line}"
