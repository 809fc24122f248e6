"""What PostgreSQL's catalogue says of the tables: so a new table is covered by a test without a word more."""

from __future__ import annotations

from typing import Any, LiteralString

import psycopg
from psycopg import sql

NAMES = {
    "org": ("orgs", "org_id"),
    "user": ("users", "user_id"),
    "team": ("teams", "team_id"),
    "project": ("projects", "project_id"),
    "role": ("roles", "role_id"),
    "api_key": ("api_keys", "api_key_id"),
    "budget": ("budgets", "budget_id"),
    "hold": ("holds", "hold_id"),
    "channel": ("channels", "channel_id"),
}
"""Noun → table, and the column that names one of its rows wherever it stands."""

PEOPLE = ("created_by", "accepted_by", "actor_id")
"""Columns that name a user by what they did."""


def rows(connection: psycopg.Connection[Any], query: LiteralString, *values: Any) -> list[Any]:
    """Return all rows of a query."""
    return connection.execute(query, values).fetchall()


def columns(connection: psycopg.Connection[Any]) -> list[tuple[str, str]]:
    """Return (table, column) of every uuid column, and of every id of a budget, in the public schema."""
    return rows(
        connection,
        "SELECT table_name, column_name FROM information_schema.columns"
        " JOIN information_schema.tables USING (table_schema, table_name)"
        " WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND data_type IN ('uuid', 'bigint')",
    )


def references(connection: psycopg.Connection[Any]) -> list[tuple[str, str, str]]:
    """Return (table, column, named table) of every column that names a row of one of NAMES: by a foreign
    key, or by its name alone."""
    found = {
        (table, column, named)
        for table, column in columns(connection)
        for named, name in NAMES.values()
        if column == name
    }
    # Where `actor_kind` stands beside it, an actor may be a user or an API key.
    mixed = {
        table
        for (table,) in rows(
            connection, "SELECT table_name FROM information_schema.columns WHERE column_name = 'actor_kind'"
        )
    }
    found |= {
        (table, column, "users")
        for table, column in columns(connection)
        if column in PEOPLE and not (column == "actor_id" and table in mixed)
    }
    found |= {
        (table, column, named)
        for table, column, named in rows(
            connection,
            "SELECT c.conrelid::regclass::text, a.attname, c.confrelid::regclass::text FROM pg_constraint c"
            " JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[cardinality(c.conkey)]"
            " JOIN pg_attribute f"
            " ON f.attrelid = c.confrelid AND f.attnum = c.confkey[cardinality(c.confkey)]"
            " WHERE c.contype = 'f' AND f.attname = 'id'",
        )
    }
    return sorted(found)


def orphans(
    connection: psycopg.Connection[Any], table: str, column: str, named: str, org_id: str | None
) -> int:
    """Count the rows of a table whose column names a row that is not there: one organisation's rows, if the
    table says whose they are."""
    has_org = (table, "org_id") in columns(connection)
    query = sql.SQL(
        "SELECT count(*) FROM {table} t WHERE t.{column} IS NOT NULL"
        " AND NOT EXISTS (SELECT FROM {named} n WHERE n.id = t.{column})"
    ).format(table=sql.Identifier(table), column=sql.Identifier(column), named=sql.Identifier(named))
    if has_org and org_id is not None:
        query += sql.SQL(" AND t.org_id = {}").format(sql.Literal(org_id))
    found = connection.execute(query).fetchone()
    assert found is not None
    return found[0]
