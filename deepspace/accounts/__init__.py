"""Accounts: users, organisations, projects, API keys, sessions, permissions.

Owns who somebody is and what they may do. Invariants: a secret is stored only as its HMAC; a refresh token is
good once (a second use revokes the session); every permission is named in `permissions.PERMISSIONS`.
"""
