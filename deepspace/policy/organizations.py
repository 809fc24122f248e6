"""What the policy slice keeps for an organisation: its own rate limits and access rules."""

from __future__ import annotations

from uuid import UUID

from deepspace.accounts.org_parts import Ending, Survey
from deepspace.kit.db import Transaction
from deepspace.policy.repository import PolicyRepository, RateLimitRepository


class RulesPart:
    """The organisation part (accounts/org_parts.py) of policy. The operators' own rules are no part of it."""

    async def open(self, tx: Transaction, org_id: UUID) -> None:
        """Make nothing: without limits and rules everything passes."""

    async def survey(self, tx: Transaction, org_id: UUID) -> Survey:
        """Count limits and rules, which go."""
        return Survey(
            goes={
                "rate_limits": len(await RateLimitRepository(tx, org_id).all()),
                "policies": len(await PolicyRepository(tx, org_id).all()),
            }
        )

    async def close(self, tx: Transaction, org_id: UUID, ending: Ending) -> None:
        """Remove them."""
        await RateLimitRepository(tx, org_id).remove_all()
        await PolicyRepository(tx, org_id).remove_all()
