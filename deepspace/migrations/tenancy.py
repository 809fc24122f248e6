"""Row-level security, in words for migrations.

Every table with an `org_id` is protected in the migration that makes it: `*protect("teams")`. Two roles
nobody signs in with act for the platform; Database.tenant and Database.platform (kit/db.py) take them on for
one transaction. FORCE binds the owner of the tables too.

The setting of a transaction that ended is '' and not NULL on a pooled connection; without NULLIF the cast
would raise instead of finding nothing.
"""

from __future__ import annotations

TENANT = "(SELECT NULLIF(current_setting('app.org_id', true), '')::uuid)"


def roles() -> tuple[str, ...]:
    """Return the statements that make both roles and give them the tables there are and will be."""
    return (
        *(
            f"""
            DO $$ BEGIN
                IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN
                    CREATE ROLE {role} NOLOGIN;
                END IF;
            EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;  -- another database of this server
            END $$
            """
            for role in ("deepspace_tenant", "deepspace_platform")
        ),
        # From PostgreSQL 16 on, who creates a role administers it, and may not take it on before a grant.
        *(
            f"""
            DO $$ BEGIN
                IF NOT (CASE WHEN current_setting('server_version_num')::int < 160000
                    THEN pg_has_role(current_user, '{role}', 'USAGE')
                    ELSE pg_has_role(current_user, '{role}', 'USAGE')
                        AND pg_has_role(current_user, '{role}', 'SET') END)
                THEN
                    GRANT {role} TO CURRENT_USER;
                END IF;
            END $$
            """
            for role in ("deepspace_tenant", "deepspace_platform")
        ),
        "GRANT USAGE ON SCHEMA public TO deepspace_tenant, deepspace_platform",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public"
        " TO deepspace_tenant, deepspace_platform",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES"
        " TO deepspace_tenant, deepspace_platform",
    )


def protect(table: str, column: str = "org_id") -> tuple[str, ...]:
    """Return the statements that show a table's rows to their own tenant and to the platform alone."""
    return (
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
        f"CREATE POLICY tenant ON {table} TO deepspace_tenant"
        f" USING ({column} = {TENANT}) WITH CHECK ({column} = {TENANT})",
        f"CREATE POLICY platform ON {table} TO deepspace_platform USING (true) WITH CHECK (true)",
    )


def unprotect(table: str) -> tuple[str, ...]:
    """Return the statements that take `protect` back."""
    return (
        f"DROP POLICY platform ON {table}",
        f"DROP POLICY tenant ON {table}",
        f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY",
        f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY",
    )


def keep_from_tenants(table: str) -> str:
    """Return the statement that hides a whole table from tenant transactions: secrets, other people."""
    return f"REVOKE ALL ON {table} FROM deepspace_tenant"
