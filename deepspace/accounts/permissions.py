"""The permission vocabulary and what each role holds. Deny by default: what is not listed is refused."""

from __future__ import annotations

from typing import Literal

Role = Literal["owner", "admin", "member", "guest"]

PERMISSIONS: dict[str, str] = {
    "organization:read": "see the organisation, its projects and members",
    "chat:use": "call models",
    "billing:read": "see wallet, transactions and usage",
    "billing:write": "set budgets and redeem codes",
    "traces:read": "look up what happened in a call",
    "api_keys:read": "list API keys (never their secrets)",
    "api_keys:write": "create and revoke API keys",
    "projects:write": "create and rename projects",
}

_MEMBER = frozenset({"organization:read", "chat:use", "billing:read", "traces:read"})
_ADMIN = _MEMBER | {"billing:write", "api_keys:read", "api_keys:write", "projects:write"}

ROLE_PERMISSIONS: dict[str, frozenset[str]] = {
    "owner": frozenset(PERMISSIONS),
    "admin": _ADMIN,
    "member": _MEMBER,
    "guest": frozenset({"organization:read"}),
}

API_KEY_PERMISSIONS: frozenset[str] = frozenset(
    {"organization:read", "chat:use", "billing:read", "traces:read"}
)
"""What an API key may do in its own organisation, whoever made it."""

OPERATOR_PERMISSIONS: dict[str, str] = {
    "operator:channels": "manage channels to model providers",
    "operator:prices": "publish prices",
    "operator:wallets": "top up, adjust, freeze and refund; make redeem codes",
    "operator:users": "create users and organisations",
    "operator:traces": "look up every organisation's calls",
}
"""Permissions of platform operators; no organisation role ever holds one."""
