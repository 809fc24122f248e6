"""What can go wrong with money."""

from __future__ import annotations

from deepspace.kit.errors import Conflict, PlatformError


class InsufficientFunds(PlatformError):
    """The wallet does not hold enough for this call. Top it up, or ask for fewer tokens."""

    status = 402
    code = "insufficient_funds"


class WalletFrozen(PlatformError):
    """The organisation's wallet is frozen; an operator can say why."""

    status = 402
    code = "wallet_frozen"


class PriceMissing(Conflict):
    """The model has no price, so it cannot be called. An operator must publish one."""

    code = "price_missing"


class PriceOverlaps(Conflict):
    """The model has a price from that moment or later; a new price must begin after it."""

    code = "price_overlaps"


class HoldNotOpen(Conflict):
    """The hold was settled already."""

    code = "hold_not_open"


class LedgerUnavailable(PlatformError):
    """The books can not be written at the moment, so nothing was sent to the model. Try again shortly."""

    status = 503
    code = "ledger_unavailable"


class BudgetExceeded(PlatformError):
    """A budget that applies to this call has not enough left for it."""

    status = 402
    code = "budget_exceeded"


class CallInProgress(Conflict):
    """A call with this reference is still running. Ask again when it has ended."""

    code = "call_in_progress"


class ReferenceReused(PlatformError):
    """This reference was used for a call with other content."""

    status = 422
    code = "reference_reused"


class AnswerNotKept(Conflict):
    """This call was made and charged before, but its answer is no longer kept. Nothing was charged now."""

    code = "answer_not_kept"


class LedgerBusy(PlatformError):
    """Too many calls are waiting for the books; nothing was sent to the model. Try again shortly."""

    status = 503
    code = "ledger_busy"


class RefundTooLarge(Conflict):
    """A refund must be more than zero and at most what was captured and not refunded yet."""

    code = "refund_too_large"


class WalletBelowLimit(Conflict):
    """The wallet already uses more than that limit would allow."""

    code = "wallet_below_limit"


class RedeemCodeInvalid(PlatformError):
    """This code is unknown, used or expired."""

    status = 404
    code = "redeem_code_invalid"


class WebhookRefused(PlatformError):
    """The event's signature is not valid."""

    status = 401
    code = "webhook_refused"


class HoldsOpen(Conflict):
    """Calls are under way. Wait until they have ended."""

    code = "holds_open"


class BalanceLeft(Conflict):
    """The wallet still holds money. Spend it, or give it up knowingly."""

    code = "balance_left"
