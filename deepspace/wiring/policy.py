"""Policy: limits, counted here or in Redis, and access rules."""

from __future__ import annotations

from dataclasses import dataclass

from deepspace.audit.account_events import AuditedOrganizationEvents
from deepspace.audit.calls_repository import RecordedCalls
from deepspace.policy.admission import Admission
from deepspace.policy.dry_run import DryRun
from deepspace.policy.policies import ApiGate, PolicyBook, PolicyService
from deepspace.policy.rate_limits import LimitBook, RateLimitService
from deepspace.policy.redis_limiter import RedisLimiter
from deepspace.wiring.core import Core, Provided


@dataclass(frozen=True, slots=True)
class PolicyPart:
    """What other parts need of policy."""

    admission: Admission
    policies: PolicyBook
    rules: PolicyService
    gate: ApiGate
    shared: RedisLimiter | None
    provided: Provided

    async def close(self) -> None:
        """Close the connections to Redis."""
        if self.shared is not None:
            await self.shared.close()


def wire_policy(core: Core) -> PolicyPart:
    """Build the policy slice."""
    settings, clock, events = core.settings, core.clock, AuditedOrganizationEvents()
    shared = None
    if settings.redis_url is not None:
        shared = RedisLimiter(
            settings.redis_url,
            timeout_s=settings.limits_timeout_ms / 1000,
            lease_s=settings.limits_lease_s,
        )
    rules = PolicyService(clock, events)
    limits, policies = LimitBook(core.database), PolicyBook(core.database)
    return PolicyPart(
        admission=Admission(limits, clock, shared=shared, when_unavailable=settings.limits_when_unavailable),
        policies=policies,
        rules=rules,
        gate=ApiGate(policies, clock),
        shared=shared,
        provided=(
            limits,
            policies,
            RateLimitService(events),
            rules,
            DryRun(RecordedCalls(), clock),
        ),
    )
