"""Isolation in the database: what PostgreSQL shows and lets do, whatever a query forgets.

The tables come from the catalogue: a new one is covered, or the test fails until it is given a place.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import errors, sql

from tests.acceptance.test_org_deletion import furnished
from tests.support.catalogue import rows
from tests.support.live import Live
from tests.support.people import Lab

PLATFORM_TABLES = {
    "alembic_version",
    "channel_models",
    "channels",
    "knocks",
    "model_fallbacks",
    "oidc_identities",
    "one_time_tokens",
    "prices",
    "provider_checks",
    "recovery_codes",
    "redeem_codes",
    "sessions",
    "totp_secrets",
    "users",
}
"""Tables without a tenant. Think before adding one: whose are its rows?"""

SECRETS = (
    "SELECT password_hash FROM users",
    "SELECT * FROM users",
    "SELECT * FROM sessions",
    "SELECT * FROM one_time_tokens",
    "SELECT * FROM totp_secrets",
    "SELECT * FROM recovery_codes",
    "SELECT * FROM oidc_identities",
    "SELECT * FROM channels",
    "UPDATE users SET is_operator = true",
    "DELETE FROM users",
)
"""What a tenant's transaction may not do at all."""


@pytest.fixture(scope="module")
def labs(live: Live) -> tuple[Lab, Lab]:
    """Two organisations with something of everything."""
    return furnished(live), furnished(live)


@pytest.fixture(scope="module")
def connection(live: Live) -> Iterator[psycopg.Connection[Any]]:
    """A connection of the database's owner, as migrations have it."""
    with psycopg.connect(live.database_url, autocommit=True) as opened:
        yield opened


@contextmanager
def tenant(connection: psycopg.Connection[Any], org_id: str | None) -> Iterator[None]:
    """Act as a tenant's transaction does; without an organisation if None. Nothing is kept."""
    with connection.transaction(force_rollback=True):
        connection.execute("SET LOCAL ROLE deepspace_tenant")
        if org_id is not None:
            connection.execute("SELECT set_config('app.org_id', %s, true)", [org_id])
        yield


def tenant_tables(connection: psycopg.Connection[Any]) -> list[tuple[str, str]]:
    """Return (table, column of the tenant) of every tenant table."""
    found = rows(
        connection,
        "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
        " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND a.attname = 'org_id'"
        " AND NOT a.attisdropped ORDER BY 1",
    )
    return [("orgs", "id"), *((table, "org_id") for (table,) in found)]


def count(
    connection: psycopg.Connection[Any], table: str, column: str | None = None, org_id: str | None = None
) -> int | None:
    """Count rows, all or one organisation's; None if the role may not look at all."""
    query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))
    if column is not None:
        query += sql.SQL(" WHERE {} = {}").format(sql.Identifier(column), sql.Literal(org_id))
    try:
        found = connection.execute(query).fetchone()
    except errors.InsufficientPrivilege:
        return None
    assert found is not None
    return found[0]


def test_every_table_has_a_tenant_or_is_known_to_have_none(connection: psycopg.Connection[Any]) -> None:
    found = rows(connection, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    assert {name for (name,) in found} - {name for name, _ in tenant_tables(connection)} == PLATFORM_TABLES


def test_every_tenant_table_is_protected_by_the_same_two_policies(
    connection: psycopg.Connection[Any],
) -> None:
    for table, column in tenant_tables(connection):
        [(enabled, forced)] = rows(
            connection,
            "SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = %s::regclass",
            table,
        )
        assert (enabled, forced) == (True, True), table
        policies = rows(
            connection,
            "SELECT policyname, roles, cmd, permissive, qual, with_check FROM pg_policies"
            " WHERE schemaname = 'public' AND tablename = %s ORDER BY policyname",
            table,
        )
        assert [policy[:4] for policy in policies] == [
            ("platform", ["deepspace_platform"], "ALL", "PERMISSIVE"),
            ("tenant", ["deepspace_tenant"], "ALL", "PERMISSIVE"),
        ], table
        assert policies[0][4:] == ("true", "true")
        for condition in policies[1][4:]:
            text = " ".join(condition.split())
            assert text.startswith(f"({column} = ( SELECT (NULLIF(current_setting('app.org_id'"), table
            assert text.count("=") == 1


def test_nobody_signs_in_with_the_two_roles_and_neither_steps_over_a_policy(
    connection: psycopg.Connection[Any],
) -> None:
    found = rows(
        connection,
        "SELECT rolname, rolcanlogin, rolsuper, rolbypassrls, rolcreaterole FROM pg_roles"
        " WHERE rolname LIKE 'deepspace_%%' AND %s ORDER BY 1",
        True,
    )
    assert found == [
        ("deepspace_platform", False, False, False, False),
        ("deepspace_tenant", False, False, False, False),
    ]


def test_a_tenant_sees_its_own_rows_and_without_a_tenant_there_are_none(
    connection: psycopg.Connection[Any], labs: tuple[Lab, Lab]
) -> None:
    org = labs[0].tenant.organization_id
    empty: set[str] = set()
    for table, column in tenant_tables(connection):
        everything = count(connection, table)
        own = count(connection, table, column, org)
        assert everything is not None
        assert own is not None
        for setting, expected in ((None, 0), ("", 0), (str(uuid.uuid4()), 0), (org, own)):
            with tenant(connection, setting):
                assert count(connection, table) in {expected, None}, (table, setting)
        if not 0 < own < everything:
            empty.add(table)
    assert empty == set(), "put one into contents() of tests/support/people.py, or nothing is shown here"


def test_a_tenant_changes_nothing_of_another(
    connection: psycopg.Connection[Any], labs: tuple[Lab, Lab]
) -> None:
    own, foreign = (lab.tenant.organization_id for lab in labs)
    for table, column in tenant_tables(connection):
        name, key = sql.Identifier(table), sql.Identifier(column)
        where = sql.SQL("WHERE {} = {}").format(key, sql.Literal(foreign))
        for statement in (
            sql.SQL("UPDATE {} SET {} = {} ").format(name, key, key) + where,
            sql.SQL("DELETE FROM {} ").format(name) + where,
        ):
            with tenant(connection, own):
                try:
                    assert connection.execute(statement).rowcount == 0, table
                except errors.InsufficientPrivilege:
                    continue
        if count(connection, table, column, own):
            with tenant(connection, own), pytest.raises(errors.InsufficientPrivilege):
                connection.execute(sql.SQL("UPDATE {} SET {} = {}").format(name, key, sql.Literal(foreign)))


def test_a_tenant_writes_no_row_for_another(
    connection: psycopg.Connection[Any], labs: tuple[Lab, Lab]
) -> None:
    own, foreign = (lab.tenant.organization_id for lab in labs)
    tried = 0
    for table, column in tenant_tables(connection):
        name, key = sql.Identifier(table), sql.Identifier(column)
        query = sql.SQL("SELECT to_jsonb(t)::text FROM {} t WHERE {} = {} LIMIT 1")
        row = connection.execute(query.format(name, key, sql.Literal(foreign))).fetchone()
        if row is None:
            continue
        copy = sql.SQL(
            "INSERT INTO {name} OVERRIDING SYSTEM VALUE"
            " SELECT * FROM jsonb_populate_record(NULL::{name}, {row}::jsonb)"
        )
        for setting in (own, None):
            with tenant(connection, setting), pytest.raises(errors.InsufficientPrivilege):
                connection.execute(copy.format(name=name, row=sql.Literal(row[0])))
        tried += 1
    assert tried >= 12


@pytest.mark.parametrize("statement", SECRETS)
def test_a_tenant_reads_no_secret_and_makes_no_operator(
    connection: psycopg.Connection[Any], labs: tuple[Lab, Lab], statement: LiteralString
) -> None:
    org = labs[0].tenant.organization_id
    with tenant(connection, org), pytest.raises(errors.InsufficientPrivilege):
        connection.execute(statement)


def test_a_connection_that_served_a_tenant_carries_nothing_over(live: Live, labs: tuple[Lab, Lab]) -> None:
    org = labs[0].tenant.organization_id
    with psycopg.connect(live.database_url) as pooled:
        pooled.execute("SELECT set_config('role', 'deepspace_tenant', true)")
        pooled.execute("SELECT set_config('app.org_id', %s, true)", [org])
        assert count(pooled, "projects") == 2
        pooled.commit()
        # The setting is now '' and not NULL; the policy must not stumble over that.
        assert rows(pooled, "SELECT current_setting('app.org_id', true), %s", 1) == [("", 1)]
        pooled.execute("SET LOCAL ROLE deepspace_tenant")
        assert count(pooled, "projects") == 0
