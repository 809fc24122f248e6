"""The routers of the management API, one line a slice."""

from __future__ import annotations

from fastapi import APIRouter

from deepspace.accounts import endpoints as accounts
from deepspace.accounts import factor_endpoints as factors
from deepspace.accounts import identity_endpoints as identity
from deepspace.accounts import invitation_endpoints as invitations
from deepspace.accounts import key_endpoints as keys
from deepspace.accounts import oidc_endpoints as oidc
from deepspace.accounts import org_endpoints as organizations
from deepspace.accounts import project_endpoints as projects
from deepspace.accounts import session_endpoints as sessions
from deepspace.accounts import team_endpoints as teams
from deepspace.audit import endpoints as audit
from deepspace.billing import admin_endpoints as billing_admin
from deepspace.billing import endpoints as billing
from deepspace.billing import reconciliation_endpoints as reconciliation
from deepspace.billing import usage_endpoints as usage
from deepspace.policy import admin_endpoints as policy_admin
from deepspace.policy import endpoints as policy
from deepspace.upstream import endpoints as upstream
from deepspace.upstream import fallback_endpoints as fallbacks

ROUTERS: tuple[APIRouter, ...] = (
    sessions.router,
    oidc.router,
    identity.router,
    factors.router,
    accounts.router,
    organizations.router,
    projects.router,
    teams.router,
    invitations.router,
    keys.router,
    billing.router,
    usage.router,
    audit.router,
    billing_admin.router,
    reconciliation.router,
    policy.router,
    policy_admin.router,
    upstream.router,
    fallbacks.router,
)
