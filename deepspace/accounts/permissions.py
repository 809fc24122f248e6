"""The permission vocabulary and what each role holds. Deny by default: what is not listed is refused.

A member has one role in the organisation, built in or made from this vocabulary, and may have a role in
single projects, of their own or through teams. What they may do in a project is the union of both.
"""

from __future__ import annotations

from typing import Literal

Role = Literal["owner", "admin", "member", "guest"]
ProjectRole = Literal["manager", "member", "viewer"]

PERMISSIONS: dict[str, str] = {
    "organization:read": "see the organisation, its members and the projects one has a part in",
    "organization:write": "rename the organisation",
    "organization:delete": "delete the organisation, or hand it to another owner",
    "members:write": "invite people, change their roles and remove them",
    "roles:write": "make, change and delete roles of the organisation's own",
    "teams:write": "make teams and choose who is in them",
    "projects:read": "see and work in the projects that are open to the organisation",
    "projects:read_all": "see and work in every project, also those for their members only",
    "projects:write": "create, change and archive projects, and choose who is in them",
    "chat:use": "call models",
    "billing:read": "see wallet, transactions and usage",
    "billing:write": "set budgets and redeem codes",
    "traces:read": "look up what happened in a call",
    "api_keys:read": "list API keys (never their secrets)",
    "api_keys:write": "create, rotate and revoke API keys",
    "limits:read": "see the rate limits",
    "limits:write": "set rate limits",
    "policies:read": "see access rules and try them on past calls",
    "policies:write": "make, change and remove access rules",
}

_MEMBER = frozenset({"organization:read", "projects:read", "chat:use", "billing:read", "traces:read"})
_OWNER_ONLY = frozenset({"organization:delete"})

ROLE_PERMISSIONS: dict[str, frozenset[str]] = {
    "owner": frozenset(PERMISSIONS),
    "admin": frozenset(PERMISSIONS) - _OWNER_ONLY,
    "member": _MEMBER,
    "guest": frozenset({"organization:read"}),
}

PROJECT_ROLE_PERMISSIONS: dict[str, frozenset[str]] = {
    "manager": frozenset({"projects:read", "projects:write", "chat:use", "traces:read"}),
    "member": frozenset({"projects:read", "chat:use", "traces:read"}),
    "viewer": frozenset({"projects:read"}),
}
"""What a role in a project adds, in that project alone. A guest who may spend is a `member` of a project."""

API_KEY_PERMISSIONS: frozenset[str] = frozenset(
    {"organization:read", "projects:read", "chat:use", "billing:read", "traces:read"}
)
"""What an API key may do in its own organisation, whoever made it."""

OPERATOR_PERMISSIONS: dict[str, str] = {
    "operator:channels": "manage channels to model providers",
    "operator:prices": "publish prices",
    "operator:wallets": "top up, adjust, freeze and refund; make redeem codes",
    "operator:users": "create users and organisations",
    "operator:traces": "look up every organisation's calls",
    "operator:limits": "set rate limits, of the platform and of any organisation",
    "operator:policies": "make access rules, of the platform and of any organisation",
}
"""Permissions of platform operators; no organisation role ever holds one."""
