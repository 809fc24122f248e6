"""What the policy slice refuses."""

from __future__ import annotations

from deepspace.kit.errors import Conflict, PlatformError


class RateLimited(PlatformError):
    """Calls come faster than a limit allows."""

    status = 429
    code = "rate_limited"


class LimitsUnavailable(PlatformError):
    """The rate limits cannot be checked at the moment, so the call was not made. Try again shortly."""

    status = 503
    code = "limits_unavailable"


class PolicyRefused(PlatformError):
    """A policy does not allow this."""

    status = 403
    code = "policy_refused"


class GuardrailBlocked(PlatformError):
    """A guardrail does not let this text pass."""

    status = 400
    code = "guardrail_blocked"


class PolicyLocksOut(Conflict):
    """With this change your own address would be refused. Allow it first, or make the rule a dry run."""

    code = "policy_locks_out"
