"""settings → clients → slices → pipeline: the only place where things meet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import SecretStr

from deepspace.accounts.authenticator import NOTICES, Authenticator
from deepspace.accounts.key_service import KeyService
from deepspace.accounts.passwords import Passwords
from deepspace.accounts.queries import AccountsQueries
from deepspace.accounts.service import AccountsService
from deepspace.accounts.tokens import TokenService
from deepspace.audit.repository import AuditJournal
from deepspace.audit.service import TraceService
from deepspace.audit.swept import swept_journal
from deepspace.billing.budgets import BudgetBook, BudgetService
from deepspace.billing.moves import MoneyMoves
from deepspace.billing.receipts import ReceiptService
from deepspace.billing.service import BillingService, PriceBook
from deepspace.billing.spool import Spool
from deepspace.billing.story import MoneyStory
from deepspace.billing.sweeper import Sweeper
from deepspace.billing.usage import UsageService
from deepspace.billing.webhook import PaymentSecret
from deepspace.billing.writer import LedgerWriter
from deepspace.kit.clock import Clock, SystemClock
from deepspace.kit.crypto import KeyRing, Sealer
from deepspace.kit.db import Database
from deepspace.kit.ids import uuid7
from deepspace.kit.notices import NoticeListener
from deepspace.pipeline.chat import chat_pipeline
from deepspace.pipeline.runner import Pipeline
from deepspace.settings import Settings, SettingsWrong
from deepspace.upstream.catalogue import Catalogue
from deepspace.upstream.client import AiohttpClient
from deepspace.upstream.service import ChannelService

CREDENTIAL_KEY = "channel-credentials.1"


@dataclass(frozen=True, slots=True)
class Platform:
    """The wired platform of one process."""

    settings: Settings
    clock: Clock
    database: Database
    ledger: LedgerWriter
    client: AiohttpClient
    authenticator: Authenticator
    accounts: AccountsService
    keys: KeyService
    notices: NoticeListener
    billing: BillingService
    moves: MoneyMoves
    prices: PriceBook
    sweeper: Sweeper
    catalogue: Catalogue
    channels: ChannelService
    chat: Pipeline
    provided: Mapping[type[Any], Any]

    async def close(self) -> None:
        """Close what holds connections, the books last."""
        await self.notices.close()
        await self.client.close()
        await self.ledger.close()
        await self.database.close()


def wire(settings: Settings, clock: Clock | None = None) -> Platform:
    """Build the platform. Nothing connects yet; SettingsWrong if a needed setting is absent."""
    if settings.database_url is None:
        raise SettingsWrong("DEEPSPACE_DATABASE_URL: it is needed here (only `deepspace up` brings its own)")
    if settings.secret_key is None:
        raise SettingsWrong("DEEPSPACE_SECRET_KEY: it is needed here (only `deepspace up` makes its own)")
    clock = clock or SystemClock()
    ring = KeyRing(settings.secret_key.get_secret_value().encode())
    sealer = Sealer(ring.key(CREDENTIAL_KEY))
    database = Database(settings.database_url)
    boot_id = uuid7()
    spool = Spool(settings.data_dir / "spool", boot_id)
    ledger = LedgerWriter(
        settings.database_url, AuditJournal(), boot_id, spool, hold_ttl_s=settings.hold_ttl_s
    )
    client = AiohttpClient()

    tokens = TokenService(ring, clock)
    authenticator = Authenticator(database, tokens, ring, clock)
    accounts = AccountsService(
        tokens, Passwords(), ring, clock, session_ttl=timedelta(days=settings.session_days)
    )
    keys = KeyService(ring, clock)
    billing = BillingService(settings.currency)
    moves = MoneyMoves(ring.key("redeem-codes.1"))
    prices = PriceBook(database)
    catalogue = Catalogue(database, sealer)
    channels = ChannelService(sealer, client, catalogue)
    budgets = BudgetBook(database)
    chat = chat_pipeline(
        authenticator, catalogue, prices, budgets, ledger, client, hold_ttl_s=settings.hold_ttl_s
    )
    things: list[Any] = [
        database,
        authenticator,
        accounts,
        keys,
        AccountsQueries(settings.currency),
        billing,
        prices,
        budgets,
        BudgetService(),
        UsageService(),
        moves,
        ReceiptService(ring.key("receipts.1"), settings.currency),
        PaymentSecret(_revealed(settings.payment_webhook_secret)),
        SystemClock(),
        catalogue,
        channels,
        TraceService(MoneyStory(settings.currency), settings.currency),
    ]
    return Platform(
        settings=settings,
        clock=clock,
        database=database,
        ledger=ledger,
        client=client,
        authenticator=authenticator,
        accounts=accounts,
        keys=keys,
        notices=NoticeListener(
            settings.database_url, NOTICES, authenticator.hear, authenticator.forget_everything
        ),
        billing=billing,
        moves=moves,
        prices=prices,
        sweeper=Sweeper(database, ledger, swept_journal, grace_s=settings.hold_ttl_s / 2),
        catalogue=catalogue,
        channels=channels,
        chat=chat,
        provided={type(thing): thing for thing in things},
    )


def _revealed(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret is not None else None
