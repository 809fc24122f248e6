"""Database migrations. A file is named `date_time_pre_…` (before the new code runs) or `…_post_…` (after
it)."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy.exc import OperationalError

from deepspace.kit.db import sqlalchemy_url
from deepspace.settings import SettingsWrong


def config(url: str) -> Config:
    """Return the Alembic configuration for a database."""
    found = Config()
    found.set_main_option("script_location", str(Path(__file__).parent))
    found.set_main_option("sqlalchemy.url", sqlalchemy_url(url).replace("%", "%%"))
    found.set_main_option(
        "file_template", "%%(year)d_%%(month).2d_%%(day).2d_%%(hour).2d%%(minute).2d_pre_%%(slug)s"
    )
    return found


def migrate(url: str) -> None:
    """Bring a database to the newest version; nothing happens if it is there. Safe to call from several
    places. SettingsWrong if it cannot be reached."""
    try:
        command.upgrade(config(url), "head")
    except OperationalError as error:
        if error.connection_invalidated or error.statement is None:
            reason = str(error.orig).strip().splitlines()[0]
            raise SettingsWrong(f"DEEPSPACE_DATABASE_URL: the database cannot be reached: {reason}") from None
        raise
