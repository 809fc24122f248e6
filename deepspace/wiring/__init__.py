"""settings → clients → slices → pipeline: the only place where things meet. One file a part."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deepspace.accounts.authenticator import Authenticator
from deepspace.accounts.founding import Founding
from deepspace.accounts.guard import AddressGate
from deepspace.accounts.key_service import KeyService
from deepspace.accounts.service import AccountsService
from deepspace.audit.account_events import AuditedOrganizationEvents
from deepspace.audit.service import TraceService
from deepspace.billing.moves import MoneyMoves
from deepspace.billing.provider_checks import ProviderChecks
from deepspace.billing.service import BillingService, PriceBook
from deepspace.billing.story import MoneyStory
from deepspace.billing.sweeper import Sweeper
from deepspace.billing.turning import Turner
from deepspace.billing.writer import LedgerWriter
from deepspace.kit.clock import Clock, SystemClock
from deepspace.kit.crypto import KeyRing, Sealer
from deepspace.kit.db import Database
from deepspace.kit.envelope import EnvelopeSealer
from deepspace.kit.notices import NoticeListener
from deepspace.pipeline.chat import chat_pipeline
from deepspace.pipeline.registry import PluginStep
from deepspace.pipeline.runner import Pipeline
from deepspace.policy.organizations import RulesPart
from deepspace.settings import Settings, SettingsWrong
from deepspace.upstream.catalogue import Catalogue
from deepspace.upstream.credentials import CredentialRotation
from deepspace.upstream.fallbacks import FallbackService
from deepspace.upstream.http.client import HttpClient
from deepspace.upstream.routing import Router
from deepspace.upstream.service import ChannelService
from deepspace.upstream.usage_report import UsageReports
from deepspace.wiring.accounts import wire_accounts
from deepspace.wiring.billing import wire_billing
from deepspace.wiring.core import Core
from deepspace.wiring.identity import IdentityPart
from deepspace.wiring.policy import PolicyPart, wire_policy

CREDENTIAL_KEY, PLAIN_CREDENTIAL_KEY = "channel-credentials.2", "channel-credentials.1"


@dataclass(frozen=True, slots=True)
class Platform:
    """The wired platform of one process."""

    settings: Settings
    clock: Clock
    database: Database
    ledger: LedgerWriter
    client: HttpClient
    authenticator: Authenticator
    accounts: AccountsService
    founding: Founding
    keys: KeyService
    identity: IdentityPart
    notices: NoticeListener
    billing: BillingService
    moves: MoneyMoves
    prices: PriceBook
    sweeper: Sweeper
    provider_checks: ProviderChecks
    catalogue: Catalogue
    channels: ChannelService
    rotation: CredentialRotation
    chat: Pipeline
    policy: PolicyPart
    provided: Mapping[type[Any], Any]

    async def close(self) -> None:
        """Close what holds connections, the books last."""
        await self.notices.close()
        await self.identity.close()
        await self.client.close()
        await self.policy.close()
        await self.ledger.close()
        await self.database.close()


def wire(settings: Settings, clock: Clock | None = None, plugins: Sequence[PluginStep] = ()) -> Platform:
    """Build the platform, with third parties' steps in its request path. Nothing connects yet; SettingsWrong
    if a needed setting is absent."""
    core = _core(settings, clock or SystemClock())
    database = core.database
    sealer = _credential_sealer(core)
    client = HttpClient()
    billing = wire_billing(core, UsageReports(database, sealer))
    policy = wire_policy(core)
    accounts = wire_accounts(core, (billing.books, RulesPart()))
    catalogue = Catalogue(database, sealer)
    router = Router(time.monotonic)
    channels = ChannelService(sealer, client, catalogue)
    fallbacks = FallbackService(AuditedOrganizationEvents())
    traces = TraceService(MoneyStory(settings.currency), settings.currency)
    chat = chat_pipeline(
        accounts.authenticator,
        catalogue,
        billing.prices,
        billing.budgets,
        ledger=billing.ledger,
        turner=Turner(database),
        client=client,
        router=router,
        admission=policy.admission,
        policies=policy.policies,
        hold_ttl_s=settings.hold_ttl_s,
        plugins=plugins,
    )
    things: list[Any] = [
        *(database, SystemClock(), catalogue, channels, fallbacks, router, traces),
        *accounts.provided,
        *billing.provided,
        *policy.provided,
    ]
    return Platform(
        settings=settings,
        clock=core.clock,
        database=database,
        ledger=billing.ledger,
        client=client,
        authenticator=accounts.authenticator,
        accounts=accounts.service,
        founding=accounts.founding,
        keys=accounts.keys,
        identity=accounts.identity,
        notices=accounts.notices,
        billing=billing.service,
        moves=billing.moves,
        prices=billing.prices,
        sweeper=billing.sweeper,
        provider_checks=billing.provider_checks,
        catalogue=catalogue,
        channels=channels,
        rotation=CredentialRotation(sealer, AuditedOrganizationEvents()),
        chat=chat,
        policy=policy,
        provided={**{type(thing): thing for thing in things}, AddressGate: policy.gate},
    )


def _credential_sealer(core: Core) -> EnvelopeSealer:
    """Return what seals channels' credentials: by the key set for it, or one derived from the root secret; by
    the others it only opens."""
    settings = core.settings
    given = settings.credential_keys_accepted
    accepted = [text.strip() for text in given.get_secret_value().split(",")] if given is not None else []
    current = [settings.credential_key.get_secret_value()] if settings.credential_key is not None else []
    try:
        rings = [KeyRing(text.encode()) for text in accepted if text]
        first = [KeyRing(text.encode()) for text in current]
    except ValueError as error:
        raise SettingsWrong(f"DEEPSPACE_CREDENTIAL_KEYS_ACCEPTED: {error}") from None
    every = [*first, core.ring, *rings]
    return EnvelopeSealer(
        [ring.key(CREDENTIAL_KEY) for ring in every],
        [Sealer(ring.key(PLAIN_CREDENTIAL_KEY)) for ring in every],
    )


def _core(settings: Settings, clock: Clock) -> Core:
    if settings.database_url is None:
        raise SettingsWrong("DEEPSPACE_DATABASE_URL: it is needed here (only `deepspace up` brings its own)")
    if settings.secret_key is None:
        raise SettingsWrong("DEEPSPACE_SECRET_KEY: it is needed here (only `deepspace up` makes its own)")
    ring = KeyRing(settings.secret_key.get_secret_value().encode())
    return Core(settings, settings.database_url, clock, ring, Database(settings.database_url))
