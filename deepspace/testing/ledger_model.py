"""A second opinion on the ledger: the same rules, written another way.

Nothing here keeps a balance. Every figure is summed up again from the list of movements and the list of holds
each time it is asked for, so a mistake in the ledger's running totals cannot hide here as well. Tests drive
the ledger and this model with the same operations and compare outcomes and figures after each.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Outcome = tuple[Any, ...]
OK: Outcome = ("ok",)


@dataclass(slots=True)
class ModelHold:
    """A call's hold."""

    id: Any
    org: Any
    reference: str
    content: bytes
    amount: int
    budgets: tuple[int, ...]
    state: str = "held"
    captured: int = 0
    refunded: int = 0
    answer: Any = None


@dataclass(slots=True)
class ModelWallet:
    """What a wallet may do. What it holds is summed up from the movements."""

    credit_limit: int = 0
    active: bool = True


@dataclass(slots=True)
class ModelBudget:
    """A limit, and what its scope had used when the budget was made."""

    limit: int
    used_before: int = 0


@dataclass(slots=True)
class LedgerModel:
    """The books. Each verb returns an outcome: OK, a result, or the code of a refusal."""

    wallets: dict[Any, ModelWallet] = field(default_factory=dict[Any, ModelWallet])
    budgets: dict[int, ModelBudget] = field(default_factory=dict[int, ModelBudget])
    holds: dict[Any, ModelHold] = field(default_factory=dict[Any, ModelHold])
    movements: list[tuple[Any, int]] = field(default_factory=list[tuple[Any, int]])
    absorbed: int = 0

    def balance(self, org: Any) -> int:
        """Return the sum of an organisation's movements."""
        return sum(amount for whose, amount in self.movements if whose == org)

    def frozen(self, org: Any) -> int:
        """Return the sum of an organisation's open holds."""
        return sum(hold.amount for hold in self.holds.values() if hold.org == org and hold.state == "held")

    def available(self, org: Any) -> int:
        """Return what a new hold can take."""
        return self.balance(org) - self.frozen(org) + self.wallets[org].credit_limit

    def budget(self, budget: int) -> tuple[int, int]:
        """Return what a budget has held and spent."""
        tied = [hold for hold in self.holds.values() if budget in hold.budgets]
        held = sum(hold.amount for hold in tied if hold.state == "held")
        spent = sum(hold.captured - hold.refunded for hold in tied if hold.state == "captured")
        return held, self.budgets[budget].used_before + spent

    def hold(
        self, org: Any, hold_id: Any, reference: str, content: bytes, amount: int, budgets: tuple[int, ...]
    ) -> Outcome:
        """Set money aside for a call."""
        for earlier in self.holds.values():
            if (earlier.org, earlier.reference) != (org, reference) or not _counts(earlier):
                continue
            if earlier.content != content:
                return ("reference_reused",)
            if earlier.state == "held":
                return ("call_in_progress",)
            return ("replay", earlier.id, earlier.captured, earlier.answer)
        if org not in self.wallets:
            return ("insufficient_funds",)
        if not self.wallets[org].active:
            return ("wallet_frozen",)
        if self.available(org) < amount:
            return ("insufficient_funds",)
        applying = tuple(budget for budget in budgets if budget in self.budgets)
        if any(sum(self.budget(budget)) + amount > self.budgets[budget].limit for budget in applying):
            return ("budget_exceeded",)
        self.holds[hold_id] = ModelHold(hold_id, org, reference, content, amount, applying)
        return OK

    def capture(self, org: Any, hold_id: Any, cost: int, source: str, answer: Any = None) -> Outcome:
        """Settle a call: at most its hold and what is free beside it; the platform bears the rest."""
        hold = self.holds.get(hold_id)
        if hold is None or hold.org != org:
            return ("hold_not_open",)
        if hold.state == "expired":
            again = any(
                (other.org, other.reference) == (hold.org, hold.reference) and _counts(other)
                for other in self.holds.values()
            )
            if source != "reported" or again:
                return ("hold_not_open",)
        elif hold.state != "held":
            return ("hold_not_open",)
        free = max(self.available(org), 0)
        covered = hold.amount if hold.state == "held" else 0
        taken = min(cost, covered + free)
        hold.state, hold.captured, hold.answer = "captured", taken, answer
        self.movements.append((org, -taken))
        self.absorbed += cost - taken
        return ("captured", taken, cost - taken)

    def release(self, org: Any, hold_id: Any, *, expired: bool = False) -> Outcome:
        """Give a hold back."""
        hold = self.holds.get(hold_id)
        if hold is None or hold.org != org or hold.state != "held":
            return ("hold_not_open",)
        hold.state = "expired" if expired else "released"
        return OK

    def refund(self, hold_id: Any, amount: int | None) -> Outcome:
        """Give back what a call cost, or a part of it."""
        hold = self.holds.get(hold_id)
        if hold is None or hold.state != "captured":
            return ("not_found",)
        left = hold.captured - hold.refunded
        amount = left if amount is None else amount
        if amount <= 0 or amount > left:
            return ("refund_too_large",)
        hold.refunded += amount
        self.movements.append((hold.org, amount))
        return OK

    def move(self, org: Any, amount: int) -> Outcome:
        """Top up, or adjust either way; down only as far as money is available."""
        if self.available(org) + amount < 0:
            return ("insufficient_funds",)
        self.movements.append((org, amount))
        return OK

    def change(self, org: Any, credit_limit: int, *, active: bool) -> Outcome:
        """Set the credit limit and freeze or thaw a wallet."""
        if credit_limit < 0 or self.balance(org) - self.frozen(org) + credit_limit < 0:
            return ("wallet_below_limit",)
        self.wallets[org] = ModelWallet(credit_limit, active)
        return OK


def _counts(hold: ModelHold) -> bool:
    """Tell whether a call takes its reference: one that was given back does not."""
    return hold.state in {"held", "captured"}
