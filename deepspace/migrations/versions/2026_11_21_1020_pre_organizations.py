"""Teams, custom roles, invitations, project members."""

from __future__ import annotations

from alembic import op

from deepspace.migrations.tenancy import protect

revision = "2026_11_21_1020"
down_revision = "2026_11_21_1010"

STATEMENTS = (
    "ALTER TABLE orgs ADD COLUMN deleted_at TIMESTAMP WITH TIME ZONE",
    """
    CREATE TABLE roles (
        id UUID NOT NULL,
        org_id UUID NOT NULL,
        name TEXT NOT NULL,
        permissions TEXT[] NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT pk_roles PRIMARY KEY (id),
        CONSTRAINT uq_roles_org_id_id UNIQUE (org_id, id),
        CONSTRAINT uq_roles_org_id_name UNIQUE (org_id, name),
        CONSTRAINT fk_roles_org_id_orgs FOREIGN KEY(org_id) REFERENCES orgs (id) ON DELETE CASCADE
    )
    """,
    *protect("roles"),
    "ALTER TABLE org_members ADD COLUMN role_id UUID",
    "ALTER TABLE org_members DROP CONSTRAINT ck_org_members_role",
    "ALTER TABLE org_members ADD CONSTRAINT ck_org_members_role"
    " CHECK (role IN ('owner', 'admin', 'member', 'guest', 'custom'))",
    "ALTER TABLE org_members ADD CONSTRAINT ck_org_members_custom CHECK ((role = 'custom') = (role_id IS NOT NULL))",
    "ALTER TABLE org_members ADD CONSTRAINT fk_org_members_org_id_role_id_roles"
    " FOREIGN KEY(org_id, role_id) REFERENCES roles (org_id, id)",
    """
    CREATE TABLE teams (
        id UUID NOT NULL,
        org_id UUID NOT NULL,
        name TEXT NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT pk_teams PRIMARY KEY (id),
        CONSTRAINT uq_teams_org_id_id UNIQUE (org_id, id),
        CONSTRAINT uq_teams_org_id_name UNIQUE (org_id, name),
        CONSTRAINT fk_teams_org_id_orgs FOREIGN KEY(org_id) REFERENCES orgs (id) ON DELETE CASCADE
    )
    """,
    *protect("teams"),
    """
    CREATE TABLE team_members (
        org_id UUID NOT NULL,
        team_id UUID NOT NULL,
        user_id UUID NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT pk_team_members PRIMARY KEY (team_id, user_id),
        CONSTRAINT fk_team_members_org_id_team_id_teams FOREIGN KEY(org_id, team_id) REFERENCES teams (org_id, id) ON DELETE CASCADE,
        CONSTRAINT fk_team_members_org_id_user_id_org_members FOREIGN KEY(org_id, user_id) REFERENCES org_members (org_id, user_id) ON DELETE CASCADE
    )
    """,
    "CREATE INDEX ix_team_members_user_id ON team_members (user_id)",
    *protect("team_members"),
    "ALTER TABLE projects ADD COLUMN access TEXT DEFAULT 'organization' NOT NULL",
    "ALTER TABLE projects ADD CONSTRAINT ck_projects_access CHECK (access IN ('organization', 'members'))",
    "ALTER TABLE projects ADD COLUMN is_default BOOLEAN DEFAULT false NOT NULL",
    "UPDATE projects p SET is_default = true WHERE NOT EXISTS (SELECT FROM projects o WHERE o.org_id = p.org_id"
    " AND o.archived_at IS NULL AND (o.created_at, o.id) < (p.created_at, p.id)) AND p.archived_at IS NULL",
    "CREATE UNIQUE INDEX uq_projects_default ON projects (org_id) WHERE is_default",
    """
    CREATE TABLE project_members (
        id UUID NOT NULL,
        org_id UUID NOT NULL,
        project_id UUID NOT NULL,
        user_id UUID,
        team_id UUID,
        role TEXT NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT pk_project_members PRIMARY KEY (id),
        CONSTRAINT uq_project_members_project_id_user_id UNIQUE (project_id, user_id),
        CONSTRAINT uq_project_members_project_id_team_id UNIQUE (project_id, team_id),
        CONSTRAINT ck_project_members_subject CHECK (num_nonnulls(user_id, team_id) = 1),
        CONSTRAINT ck_project_members_role CHECK (role IN ('manager', 'member', 'viewer')),
        CONSTRAINT fk_project_members_org_id_project_id_projects FOREIGN KEY(org_id, project_id) REFERENCES projects (org_id, id) ON DELETE CASCADE,
        CONSTRAINT fk_project_members_org_id_user_id_org_members FOREIGN KEY(org_id, user_id) REFERENCES org_members (org_id, user_id) ON DELETE CASCADE,
        CONSTRAINT fk_project_members_org_id_team_id_teams FOREIGN KEY(org_id, team_id) REFERENCES teams (org_id, id) ON DELETE CASCADE
    )
    """,
    "CREATE INDEX ix_project_members_user_id ON project_members (user_id)",
    "CREATE INDEX ix_project_members_team_id ON project_members (team_id)",
    *protect("project_members"),
    """
    CREATE TABLE invitations (
        id UUID NOT NULL,
        org_id UUID NOT NULL,
        token_hmac BYTEA NOT NULL,
        email TEXT,
        role TEXT NOT NULL,
        role_id UUID,
        team_id UUID,
        project_id UUID,
        project_role TEXT,
        created_by UUID,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
        accepted_at TIMESTAMP WITH TIME ZONE,
        accepted_by UUID,
        revoked_at TIMESTAMP WITH TIME ZONE,
        CONSTRAINT pk_invitations PRIMARY KEY (id),
        CONSTRAINT uq_invitations_token_hmac UNIQUE (token_hmac),
        CONSTRAINT ck_invitations_role CHECK (role IN ('admin', 'member', 'guest', 'custom')),
        CONSTRAINT ck_invitations_custom CHECK ((role = 'custom') = (role_id IS NOT NULL)),
        CONSTRAINT ck_invitations_project CHECK ((project_id IS NULL) = (project_role IS NULL)),
        CONSTRAINT ck_invitations_project_role CHECK (project_role IN ('manager', 'member', 'viewer')),
        CONSTRAINT fk_invitations_created_by_users FOREIGN KEY(created_by) REFERENCES users (id) ON DELETE SET NULL,
        CONSTRAINT fk_invitations_accepted_by_users FOREIGN KEY(accepted_by) REFERENCES users (id) ON DELETE SET NULL,
        CONSTRAINT fk_invitations_org_id_orgs FOREIGN KEY(org_id) REFERENCES orgs (id) ON DELETE CASCADE,
        CONSTRAINT fk_invitations_org_id_role_id_roles FOREIGN KEY(org_id, role_id) REFERENCES roles (org_id, id) ON DELETE CASCADE,
        CONSTRAINT fk_invitations_org_id_team_id_teams FOREIGN KEY(org_id, team_id) REFERENCES teams (org_id, id) ON DELETE CASCADE,
        CONSTRAINT fk_invitations_org_id_project_id_projects FOREIGN KEY(org_id, project_id) REFERENCES projects (org_id, id) ON DELETE CASCADE
    )
    """,
    "CREATE INDEX ix_invitations_org_id_created_at ON invitations (org_id, created_at, id)",
    *protect("invitations"),
    # The last word on ownership, whatever changes memberships: it waits for others at the organisation's row,
    # so of two owners who leave at the same time, one stays.
    """
    CREATE FUNCTION keep_an_owner() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM FROM orgs WHERE id = OLD.org_id AND deleted_at IS NULL FOR NO KEY UPDATE;
        IF FOUND AND EXISTS (SELECT FROM org_members WHERE org_id = OLD.org_id)
            AND NOT EXISTS (SELECT FROM org_members WHERE org_id = OLD.org_id AND role = 'owner')
        THEN
            RAISE EXCEPTION 'organisation % would be without an owner', OLD.org_id USING ERRCODE = '23514';
        END IF;
        RETURN NULL;
    END $$
    """,
    "CREATE CONSTRAINT TRIGGER keep_an_owner AFTER UPDATE OF role OR DELETE ON org_members"
    " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (OLD.role = 'owner') EXECUTE FUNCTION keep_an_owner()",
)

UNDO = (
    "DROP TRIGGER keep_an_owner ON org_members",
    "DROP FUNCTION keep_an_owner()",
    "DROP TABLE invitations, project_members, team_members, teams",
    "DROP INDEX uq_projects_default",
    "ALTER TABLE projects DROP COLUMN is_default, DROP COLUMN access",
    "UPDATE org_members SET role = 'guest', role_id = NULL WHERE role = 'custom'",
    "ALTER TABLE org_members DROP CONSTRAINT ck_org_members_role, DROP COLUMN role_id",
    "ALTER TABLE org_members ADD CONSTRAINT ck_org_members_role CHECK (role IN ('owner', 'admin', 'member', 'guest'))",
    "DROP TABLE roles",
    "ALTER TABLE orgs DROP COLUMN deleted_at",
)


def upgrade() -> None:
    """Apply."""
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Take back."""
    for statement in UNDO:
        op.execute(statement)
