"""Runs migrations: one at a time over the whole installation, each in a transaction with time limits."""

from __future__ import annotations

from alembic import context
from sqlalchemy import create_engine, pool, text

from deepspace.tables import metadata

ADVISORY_LOCK = 0x64733031  # one migration at a time, whoever starts it


def run() -> None:
    """Connect, take the lock, upgrade."""
    url = context.config.get_main_option("sqlalchemy.url") or ""
    engine = create_engine(url, poolclass=pool.NullPool)
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": ADVISORY_LOCK})
        connection.commit()
        context.configure(connection=connection, target_metadata=metadata, transaction_per_migration=True)
        with context.begin_transaction():
            context.run_migrations()
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": ADVISORY_LOCK})
        connection.commit()
    engine.dispose()


run()
