"""Installing a package the way an installer does, into a directory that goes on a gateway's path."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path
from typing import Any

EXAMPLE = Path(__file__).parents[2] / "examples" / "prompt-length"


def install(source: Path, target: Path) -> Path:
    """Copy a package's modules into `target` and write its metadata (PyPA: recording installed projects)."""
    project: Any = tomllib.loads((source / "pyproject.toml").read_text())
    for name in project["tool"]["setuptools"]["packages"]:
        shutil.copytree(source / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    name, version = project["project"]["name"], project["project"]["version"]
    points = project["project"]["entry-points"]
    write_metadata(target, name, version, points)
    return target


def write_metadata(target: Path, name: str, version: str, points: dict[str, dict[str, str]]) -> None:
    """Write what an installed package says of itself."""
    info = target / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    groups = [
        "\n".join([f"[{group}]", *(f"{key} = {value}" for key, value in named.items())])
        for group, named in points.items()
    ]
    (info / "entry_points.txt").write_text("\n\n".join(groups) + "\n")
