"""Signing in: registration, sessions, second factors, mail, providers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from deepspace.accounts.authenticator import Authenticator
from deepspace.accounts.cookies import Cookies
from deepspace.accounts.deletion import Closing, DeletionService
from deepspace.accounts.desk import Desk
from deepspace.accounts.devices import Devices
from deepspace.accounts.mail import MailSender, OutboxMail, PostOffice, SmtpMail
from deepspace.accounts.mail_texts import MailTexts
from deepspace.accounts.oidc import OidcSignIn
from deepspace.accounts.oidc_provider import OidcConfig, OidcProvider
from deepspace.accounts.one_time import OneTimeTokens
from deepspace.accounts.password_change import PasswordService
from deepspace.accounts.passwords import Passwords
from deepspace.accounts.person import Reauthentication
from deepspace.accounts.profile import ProfileService
from deepspace.accounts.registration import Founding, Invitations, RegistrationService
from deepspace.accounts.sessions import SessionService
from deepspace.accounts.sign_in import SignIn
from deepspace.accounts.throttle import Throttle
from deepspace.accounts.tokens import TokenService
from deepspace.accounts.totp import SecondFactor
from deepspace.audit.account_events import AuditedAccountEvents
from deepspace.settings import Settings, SettingsWrong
from deepspace.wiring.core import Core, Provided


@dataclass(frozen=True, slots=True)
class Neighbours:
    """What signing in needs from the rest of the accounts slice."""

    tokens: TokenService
    authenticator: Authenticator
    passwords: Passwords
    invitations: Invitations
    founding: Founding
    closing: Closing


@dataclass(frozen=True, slots=True)
class IdentityPart:
    """What other parts need of signing in."""

    post: PostOffice
    texts: MailTexts
    oidc: OidcSignIn
    provided: Provided

    async def close(self) -> None:
        """Send what is being sent, close what holds connections."""
        await self.post.close()
        await self.oidc.close()


def wire_identity(core: Core, near: Neighbours) -> IdentityPart:
    """Build it; SettingsWrong if mail or a provider is set up in a way that cannot work."""
    settings, database, ring, clock = core.settings, core.database, core.ring, core.clock
    public_url = core.public_url
    events = AuditedAccountEvents()
    throttle = Throttle(database, ring)
    one_time = OneTimeTokens(clock)
    devices = Devices(ring)
    texts = MailTexts(public_url)
    session_ttl = timedelta(days=settings.session_days)
    sessions = SessionService(near.tokens, clock, events, session_ttl=session_ttl)
    second_factor = SecondFactor(ring, clock, events)
    sign_in = SignIn(
        database,
        near.passwords,
        throttle,
        devices=devices,
        sessions=sessions,
        second_factor=second_factor,
        one_time=one_time,
    )
    registration = RegistrationService(settings.registration, near.invitations, near.founding, events)
    oidc = OidcSignIn(_providers(core, public_url), registration, ring, clock, events)
    post = PostOffice(_mail_sender(settings))
    desk = Desk(
        database=database,
        doors=near.authenticator,
        passwords=near.passwords,
        throttle=throttle,
        sign_in=sign_in,
        sessions=sessions,
        again=Reauthentication(database, near.passwords, throttle, clock),
        devices=devices,
        cookies=Cookies(session_ttl=session_ttl, public_https=public_url.startswith("https://")),
        post=post,
    )
    return IdentityPart(
        post=post,
        texts=texts,
        oidc=oidc,
        provided=(
            desk,
            second_factor,
            registration,
            oidc,
            PasswordService(sessions, one_time, throttle, texts, events),
            ProfileService(one_time, texts, events),
            DeletionService(near.closing, clock, events),
        ),
    )


def _mail_sender(settings: Settings) -> MailSender:
    if settings.smtp is None:
        return OutboxMail(settings.data_dir / "outbox")
    try:
        return SmtpMail(settings.smtp.url.get_secret_value(), settings.smtp.sender)
    except ValueError as error:
        raise SettingsWrong(f"DEEPSPACE_SMTP__URL: {error}") from None


def _providers(core: Core, public_url: str) -> dict[str, OidcProvider]:
    settings = core.settings
    if settings.oidc and settings.public_url is None:
        raise SettingsWrong("DEEPSPACE_PUBLIC_URL: sign-in providers need it, to send people back")
    made: dict[str, OidcProvider] = {}
    for name, provider in (settings.oidc or {}).items():
        secret = provider.client_secret
        config = OidcConfig(
            name=name,
            issuer=provider.issuer,
            client_id=provider.client_id,
            client_secret=secret.get_secret_value() if secret is not None else None,
            label=provider.label or name,
            scopes=provider.scopes,
            link_by_email=provider.link_by_email,
        )
        callback = f"{public_url.rstrip('/')}/api/auth/oidc/{name}/callback"
        try:
            made[name] = OidcProvider(config, callback, core.clock)
        except ValueError as error:
            raise SettingsWrong(f"DEEPSPACE_OIDC__{name.upper()}__ISSUER: {error}") from None
    return made
