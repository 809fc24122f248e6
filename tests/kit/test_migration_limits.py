"""A migration waits for a lock for seconds, not for ever: a gateway's calls queue behind it."""

from __future__ import annotations

import time

import psycopg
import pytest
from sqlalchemy.exc import OperationalError

from deepspace.kit.embedded_postgres import EmbeddedPostgres
from deepspace.migrations import migrate
from tests.chaos.books import fresh_database


def test_a_migration_that_does_not_get_its_lock_ends_and_changes_nothing(postgres: EmbeddedPostgres) -> None:
    url = fresh_database(postgres, "locked")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '2026_11_21_1070'")
        connection.execute("DROP INDEX ix_api_keys_created_by")
    with psycopg.connect(url) as reader:
        reader.execute("SELECT count(*) FROM api_keys")
        reader.execute("LOCK TABLE api_keys IN SHARE ROW EXCLUSIVE MODE")
        began = time.monotonic()
        with pytest.raises(OperationalError, match="lock timeout"):
            migrate(url)
        assert time.monotonic() - began < 10
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        assert row == ("2026_11_21_1070",)
