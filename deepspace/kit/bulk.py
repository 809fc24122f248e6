"""Inserting many rows: by COPY when they are many, by one INSERT when they are few.

asyncpg looks at every element of an array argument in Python; COPY costs a third of the CPU on our side and
less on the server's. COPY is not possible where row-level security binds the role that writes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast
from uuid import UUID

import asyncpg

_Connection: Any = cast("Any", asyncpg).Connection  # only partly typed

COPY_FROM = 4
"""From this many rows on COPY is the cheaper way (measured by bench/ledger.py)."""


class BulkConnection(_Connection):
    """A connection that knows whether it may COPY. Give it to asyncpg.connect as `connection_class`."""

    may_copy: bool = False

    async def learn(self, table: str) -> None:
        """See whether the policies of a table bind this connection: they do not bind a superuser or a role
        with BYPASSRLS."""
        self.may_copy = not await self.fetchval("SELECT row_security_active($1::text)", table)


class BulkInsert:
    """Inserts rows of one table; columns that are not named have their defaults."""

    def __init__(self, table: str, columns: Mapping[str, str]) -> None:
        """`columns` maps names to PostgreSQL types; all of them are constants of the program."""
        self._table = table
        self._columns = tuple(columns)
        self._arrays = [type_.endswith("[]") for type_ in columns.values()]
        names = ", ".join(columns)
        given = ", ".join(
            f"${number}::{'text' if is_array else type_}[]"
            for number, (type_, is_array) in enumerate(zip(columns.values(), self._arrays, strict=True), 1)
        )
        chosen = ", ".join(f"r.{name}::{type_}" for name, type_ in columns.items())
        self._sql = f"INSERT INTO {table} ({names}) SELECT {chosen} FROM unnest({given}) AS r({names})"

    async def run(self, connection: Any, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert rows on an open transaction of an asyncpg connection; nothing to do for none."""
        if not rows:
            return
        if len(rows) >= COPY_FROM and getattr(connection, "may_copy", False):
            await connection.copy_records_to_table(self._table, records=rows, columns=self._columns)
            return
        columns = [
            [array_text(value) for value in column] if is_array else list(column)
            for column, is_array in zip(zip(*rows, strict=True), self._arrays, strict=True)
        ]
        await connection.execute(self._sql, *columns)


def array_text(values: Sequence[int | UUID | str | None]) -> str:
    """Return an array as PostgreSQL reads it from text (`$1::text::uuid[]`): numbers, UUIDs and plain words,
    which need no quotes."""
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"
