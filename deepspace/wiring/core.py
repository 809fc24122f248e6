"""What every part is wired from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from deepspace.kit.clock import Clock
from deepspace.kit.crypto import KeyRing
from deepspace.kit.db import Database
from deepspace.settings import Settings


@dataclass(frozen=True, slots=True)
class Core:
    """Settings, time, secrets, the database."""

    settings: Settings
    database_url: str
    clock: Clock
    ring: KeyRing
    database: Database

    @property
    def public_url(self) -> str:
        """Where browsers find the web app."""
        return self.settings.public_url or f"http://{self.settings.host}:{self.settings.port}"


Provided = tuple[Any, ...]
"""Objects that endpoints ask for by their class (kit.web.provided)."""
