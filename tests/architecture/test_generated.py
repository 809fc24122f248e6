"""What is generated, locked or migrated fits what it was made from."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, pool
from typer.testing import CliRunner

from deepspace.cli.main import app
from deepspace.kit.db import sqlalchemy_url
from deepspace.migrations import config
from deepspace.tables import metadata
from tests.support.source import REPOSITORY, tracked


def test_the_tables_of_the_code_are_the_tables_that_migrations_make(database_url: str) -> None:
    engine = create_engine(sqlalchemy_url(database_url), poolclass=pool.NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        differences = compare_metadata(context, metadata)
    engine.dispose()
    assert differences == []


def test_migrations_are_one_line_and_say_in_their_name_when_they_run(database_url: str) -> None:
    scripts = ScriptDirectory.from_config(config(database_url))
    assert len(scripts.get_heads()) == 1
    names = [Path(script.path).name for script in scripts.walk_revisions()]
    assert [
        name for name in names if not re.fullmatch(r"\d{4}_\d\d_\d\d_\d{4}_(pre|post)_\w+\.py", name)
    ] == []
    assert names == sorted(names, reverse=True)


def test_the_committed_openapi_document_is_what_the_code_says() -> None:
    done = CliRunner().invoke(app, ["openapi", "--check", str(REPOSITORY / "api" / "openapi.json")])
    assert done.exit_code == 0, done.stderr


def test_a_document_that_is_not_what_the_code_says_is_found(tmp_path: Path) -> None:
    (tmp_path / "openapi.json").write_text("{}")
    for place in ("openapi.json", "absent.json"):
        done = CliRunner().invoke(app, ["openapi", "--check", str(tmp_path / place)])
        assert done.exit_code == 1
        assert "run: make openapi" in done.stderr


def test_every_operation_has_a_summary_an_error_shape_and_a_name_of_its_own() -> None:
    document = json.loads((REPOSITORY / "api" / "openapi.json").read_text())
    names: list[str] = []
    for path, operations in document["paths"].items():
        for operation in operations.values():
            names.append(operation["operationId"])
            assert operation["summary"], path
            assert set(operation["responses"]) & {"default", "401"}, path
    assert len(names) == len(set(names))


ADDRESS = re.compile(r"https?://|(?:^|\s)(?:-i|--index-url|--extra-index-url|--find-links|--trusted-host)\b")


@pytest.mark.parametrize(
    "name", [str(path.relative_to(REPOSITORY)) for path in tracked("requirements/*.txt", "requirements/*.in")]
)
def test_locked_requirements_name_no_index(name: str) -> None:
    found = [line for line in (REPOSITORY / name).read_text().splitlines() if ADDRESS.search(line)]
    assert found == []


def test_every_locked_requirement_has_a_version_and_a_hash() -> None:
    for path in tracked("requirements/*.txt"):
        text = path.read_text().replace("\\\n", " ")
        lines = [line for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]
        assert lines
        assert [line for line in lines if "==" not in line or "--hash=sha256:" not in line] == []


def test_the_npm_lock_names_no_registry() -> None:
    lock = json.loads((REPOSITORY / "package-lock.json").read_text())
    found = [
        name for name, package in lock["packages"].items() if ADDRESS.search(str(package.get("resolved", "")))
    ]
    assert found == []
    unsealed = [
        name
        for name, package in lock["packages"].items()
        if "node_modules/" in name and not package.get("link") and "integrity" not in package
    ]
    assert unsealed == []
