"""Runs migrations: one at a time over the whole installation, each in a transaction with time limits.

A lock that is not had in LOCK_TIMEOUT, or a statement over STATEMENT_TIMEOUT, ends the migration and changes
nothing: a migration must not hold up the calls of a serving gateway.
"""

from __future__ import annotations

from alembic import context
from sqlalchemy import create_engine, pool, text

from deepspace.tables import metadata

ADVISORY_LOCK = 0x64733031  # one migration at a time, whoever starts it
LOCK_TIMEOUT = "3s"
STATEMENT_TIMEOUT = "60s"


def run() -> None:
    """Connect, take the lock, upgrade."""
    url = context.config.get_main_option("sqlalchemy.url") or ""
    engine = create_engine(url, poolclass=pool.NullPool)
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": ADVISORY_LOCK})
        connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))  # from here on: the first lock waits
        connection.execute(text(f"SET statement_timeout = '{STATEMENT_TIMEOUT}'"))
        connection.commit()
        context.configure(connection=connection, target_metadata=metadata, transaction_per_migration=True)
        with context.begin_transaction():
            context.run_migrations()
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": ADVISORY_LOCK})
        connection.commit()
    engine.dispose()


run()
