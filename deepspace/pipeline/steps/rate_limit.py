"""rate_limit: refuse what comes too fast. Permits are released once the call has settled."""

from __future__ import annotations

from deepspace.kit.log import get_logger
from deepspace.pipeline.exchange import Exchange
from deepspace.policy.admission import Admission
from deepspace.upstream.wire import estimate_tokens

log = get_logger(__name__)

ASSUMED_OUTPUT_TOKENS = 512
"""What a call that names no output limit is taken to produce, until its usage is known."""


def estimated_tokens(x: Exchange) -> int:
    """Return what a call is charged against limits of tokens before it is made: its input, estimated, and the
    output it asks for. What it used replaces this when it has settled."""
    if x.call.operation is not None:
        return x.call.operation.counted.input_total + x.call.operation.counted.output_total
    asked = x.call.max_tokens if x.call.max_tokens is not None else ASSUMED_OUTPUT_TOKENS
    return estimate_tokens(x.call.body.decode(errors="replace")) + asked * x.call.choices


class RateLimit:
    """Holds the call against every limit on its key, user, project, organisation and model."""

    name = "rate_limit"

    def __init__(self, admission: Admission) -> None:
        """Ask this for admission."""
        self._admission = admission

    async def __call__(self, x: Exchange) -> None:
        """Write ticket and rate_headers; refuse with 429 if a limit is reached: then none was drawn on."""
        if x.principal is None or x.org_id is None:
            raise RuntimeError("rate_limit stands behind auth")
        start = x.clock.monotonic_ns()
        key = x.principal.key
        x.ticket = await self._admission.admit(
            x.org_id,
            (
                ("api_key", key.id if key is not None else None),
                ("user", x.principal.user_id),
                ("project", x.project_id),
                ("organization", x.org_id),
                ("model", x.call.model),
            ),
            lambda: estimated_tokens(x),
        )
        if x.ticket is not None:
            x.rate_headers = x.ticket.headers
            duration_ns = x.clock.monotonic_ns() - start
            x.note(
                self.name, "rate_limit.admitted", duration_ns=duration_ns, counted_by=x.ticket.limiter.name
            )

    async def release(self, x: Exchange) -> None:
        """Give the call's permits back and put its true tokens in place of the estimate; never raises."""
        ticket, x.ticket = x.ticket, None
        if ticket is None:
            return
        usage = x.charged_usage
        try:
            await self._admission.release(ticket, usage.input_total + usage.output_total if usage else 0)
        except Exception:
            log.exception("permits not released; they run out")
