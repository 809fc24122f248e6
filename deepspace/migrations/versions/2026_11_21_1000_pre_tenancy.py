"""Database roles and row-level security of the tenant tables."""

from __future__ import annotations

from alembic import op

from deepspace.migrations.tenancy import keep_from_tenants, protect, roles, unprotect

revision = "2026_11_21_1000"
down_revision = "2026_11_21_0900"

TENANT_TABLES = (
    "org_members",
    "projects",
    "api_keys",
    "wallets",
    "holds",
    "transactions",
    "usage_records",
    "budgets",
    "budget_counters",
    "call_answers",
    "audit_logs",
)

STATEMENTS = (
    *roles(),
    *(statement for table in TENANT_TABLES for statement in protect(table)),
    *protect("orgs", "id"),
    # Secrets and other people's lives are not for tenant transactions: names and addresses of members are.
    *(keep_from_tenants(table) for table in ("users", "sessions", "channels", "channel_models")),
    "GRANT SELECT (id, email, name, status, created_at) ON users TO deepspace_tenant",
    "GRANT SELECT (id, name, kind) ON channels TO deepspace_tenant",
)

UNDO = tuple(statement for table in (*TENANT_TABLES, "orgs") for statement in unprotect(table))


def upgrade() -> None:
    """Apply."""
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Take back."""
    for statement in UNDO:
        op.execute(statement)
