"""Billing: the ledger's writer and everything about money."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import SecretStr

from deepspace.audit.ownerless import swept_journal
from deepspace.audit.repository import AuditJournal
from deepspace.billing.budgets import BudgetBook, BudgetService
from deepspace.billing.moves import MoneyMoves
from deepspace.billing.organizations import BooksPart
from deepspace.billing.provider_checks import ProviderChecks, ProviderReports
from deepspace.billing.receipts import ReceiptService
from deepspace.billing.service import BillingService, PriceBook
from deepspace.billing.spool import Spool
from deepspace.billing.sweeper import Sweeper
from deepspace.billing.usage import UsageService
from deepspace.billing.webhook import PaymentSecret
from deepspace.billing.writer import LedgerWriter
from deepspace.kit.ids import uuid7
from deepspace.wiring.core import Core, Provided


@dataclass(frozen=True, slots=True)
class BillingPart:
    """What other parts need of billing."""

    ledger: LedgerWriter
    service: BillingService
    moves: MoneyMoves
    prices: PriceBook
    budgets: BudgetBook
    sweeper: Sweeper
    provider_checks: ProviderChecks
    books: BooksPart
    provided: Provided


def wire_billing(core: Core, reports: ProviderReports) -> BillingPart:
    """Build the billing slice; `reports` asks providers what they counted."""
    settings = core.settings
    boot_id = uuid7()
    spool = Spool(settings.data_dir / "spool", boot_id)
    ledger = LedgerWriter(core.database_url, AuditJournal(), boot_id, spool, hold_ttl_s=settings.hold_ttl_s)
    service = BillingService(settings.currency)
    moves = MoneyMoves(core.ring.key("redeem-codes.1"))
    prices = PriceBook(core.database)
    budgets = BudgetBook(core.database)
    checks = ProviderChecks(core.database, reports, core.clock)
    return BillingPart(
        ledger=ledger,
        service=service,
        moves=moves,
        prices=prices,
        budgets=budgets,
        books=BooksPart(service, moves),
        provider_checks=checks,
        sweeper=Sweeper(core.database, ledger, swept_journal, grace_s=settings.hold_ttl_s / 2),
        provided=(
            service,
            moves,
            prices,
            budgets,
            checks,
            BudgetService(),
            UsageService(),
            ReceiptService(core.ring.key("receipts.1"), settings.currency),
            PaymentSecret(_revealed(settings.payment_webhook_secret)),
        ),
    )


def _revealed(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret is not None else None
