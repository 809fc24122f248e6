"""Rotation and address lists of API keys; notices of changes to who may do what."""

from __future__ import annotations

from alembic import op

revision = "2026_11_21_1030"
down_revision = "2026_11_21_1020"

WATCHED = (
    (
        "api_keys",
        "UPDATE OF key_id, previous_key_id, previous_expires_at, scopes, allowed_ips, expires_at, revoked_at OR DELETE",
        "key",
        "id",
    ),
    ("sessions", "UPDATE OF revoked_at OR DELETE", "session", "id"),
    ("users", "UPDATE OF status, is_operator OR DELETE", "user", "id"),
    ("org_members", "INSERT OR UPDATE OR DELETE", "user", "user_id"),
    ("team_members", "INSERT OR UPDATE OR DELETE", "user", "user_id"),
    ("project_members", "INSERT OR UPDATE OR DELETE", "org", "org_id"),
    ("roles", "UPDATE OR DELETE", "org", "org_id"),
    ("projects", "INSERT OR UPDATE OR DELETE", "org", "org_id"),
    ("orgs", "UPDATE OR DELETE", "org", "id"),
)
"""Table, event, what the notice names, and the column with its id."""

STATEMENTS = (
    "ALTER TABLE api_keys ADD COLUMN allowed_ips TEXT[] DEFAULT '{}'::text[] NOT NULL",
    "ALTER TABLE api_keys ADD COLUMN last_used_at TIMESTAMP WITH TIME ZONE",
    "ALTER TABLE api_keys ADD COLUMN previous_key_id TEXT, ADD COLUMN previous_hmac BYTEA,"
    " ADD COLUMN previous_expires_at TIMESTAMP WITH TIME ZONE",
    "ALTER TABLE api_keys ADD CONSTRAINT uq_api_keys_previous_key_id UNIQUE (previous_key_id)",
    # Whoever changes a row, by hand too, tells every gateway process (deepspace/kit/notices.py).
    """
    CREATE FUNCTION tell_access_changed() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        changed jsonb := CASE WHEN TG_OP = 'DELETE' THEN to_jsonb(OLD) ELSE to_jsonb(NEW) END;
    BEGIN
        PERFORM pg_notify('deepspace_access', TG_ARGV[0] || ':' || (changed ->> TG_ARGV[1]));
        RETURN NULL;
    END $$
    """,
    *(
        f"CREATE TRIGGER tell_access_changed AFTER {event} ON {table}"
        f" FOR EACH ROW EXECUTE FUNCTION tell_access_changed('{subject}', '{column}')"
        for table, event, subject, column in WATCHED
    ),
)

UNDO = (
    *(f"DROP TRIGGER tell_access_changed ON {table}" for table, *_ in WATCHED),
    "DROP FUNCTION tell_access_changed()",
    "ALTER TABLE api_keys DROP COLUMN previous_key_id, DROP COLUMN previous_hmac,"
    " DROP COLUMN previous_expires_at, DROP COLUMN last_used_at, DROP COLUMN allowed_ips",
)


def upgrade() -> None:
    """Apply."""
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Take back."""
    for statement in UNDO:
        op.execute(statement)
