"""usage_capture: what the call used and what that costs. Decides; `settle` commits."""

from __future__ import annotations

from deepspace.billing.ledger import Capture, Release
from deepspace.billing.rates import Usage
from deepspace.kit.money import decimal_from_nano
from deepspace.pipeline.exchange import Exchange
from deepspace.pipeline.wording_of_operations import counted
from deepspace.upstream.wire import estimate_tokens


class UsageCapture:
    """Reported usage is captured; without it, what was delivered is counted; nothing delivered is
    released."""

    name = "usage_capture"

    async def __call__(self, x: Exchange) -> None:
        """Write settlement, charged_usage, usage_source and cost_nano."""
        if x.hold_id is None or x.price is None or x.org_id is None:
            return
        reported = x.usage
        usage = reported or self._counted(x)
        if usage is None:
            x.settlement = Release(x.org_id, x.hold_id)
            x.note(self.name, "billing.released", amount=decimal_from_nano(x.hold_nano))
            return
        x.charged_usage = usage
        x.usage_source = "reported" if reported is not None else "estimated"
        x.cost_nano = x.price.cost_nano(usage)
        channel_id = x.answered_by.channel_id if x.answered_by is not None else None
        x.settlement = Capture(x.org_id, x.hold_id, usage, x.cost_nano, x.usage_source, channel_id)
        x.note(
            self.name,
            "billing.captured",
            cost=decimal_from_nano(x.cost_nano),
            formula=x.price.formula(usage, x.cost_nano),
            source=x.usage_source,
        )

    def _counted(self, x: Exchange) -> Usage | None:
        """Count what reached the client, never above the bound that was held; None if nothing did."""
        if x.call.operation is not None:
            return counted(x.call.operation, x)
        text = x.text()
        if not text:
            return None
        told = min(estimate_tokens(text), x.max_output_tokens * x.call.choices)
        return Usage(input=x.estimated_input_tokens, output=told)
