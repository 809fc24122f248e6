"""The routers of the management API, one line a slice."""

from __future__ import annotations

from fastapi import APIRouter

from deepspace.accounts import endpoints as accounts
from deepspace.accounts import key_endpoints as keys
from deepspace.audit import endpoints as audit
from deepspace.billing import admin_endpoints as billing_admin
from deepspace.billing import endpoints as billing
from deepspace.billing import usage_endpoints as usage
from deepspace.upstream import endpoints as upstream

ROUTERS: tuple[APIRouter, ...] = (
    accounts.router,
    keys.router,
    billing.router,
    usage.router,
    audit.router,
    billing_admin.router,
    upstream.router,
)
