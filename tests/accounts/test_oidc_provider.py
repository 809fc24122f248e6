"""How we speak to an OpenID provider: what is believed, fetched again, and refused."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from deepspace.accounts.errors import OidcRefused, OidcUnavailable
from deepspace.accounts.oidc_provider import Identity, OidcConfig, OidcProvider
from deepspace.kit.clock import SystemClock
from tests.support.oidc import CLIENT_ID, CLIENT_SECRET, OidcServer

CALLBACK = "http://127.0.0.1/callback"
VERIFIER = "v" * 43


class MovedClock(SystemClock):
    """The machine's clock, moved on."""

    ahead = timedelta()

    def now(self) -> datetime:
        """Return the time."""
        return datetime.now(UTC) + self.ahead


def config(issuer: str) -> OidcConfig:
    """Return what an operator says."""
    return OidcConfig("campus", issuer, CLIENT_ID, CLIENT_SECRET, "Campus", "openid", link_by_email=False)


@pytest.fixture(scope="module")
def module_server() -> Iterator[OidcServer]:
    """A provider's server."""
    with OidcServer() as running:
        running.person = {"sub": "emmy", "email": "emmy@example.org"}
        yield running


@pytest.fixture
def server(module_server: OidcServer) -> Iterator[OidcServer]:
    """The server, honest at the beginning of each test."""
    yield module_server
    module_server.reset()


@pytest.fixture
def clock() -> MovedClock:
    """A clock."""
    return MovedClock()


@pytest.fixture
async def provider(server: OidcServer, clock: MovedClock) -> AsyncIterator[OidcProvider]:
    """Our side."""
    made = OidcProvider(config(f"{server.base}/campus"), CALLBACK, clock)
    yield made
    await made.close()


async def sign_in(provider: OidcProvider) -> Identity:
    """Go there and back."""
    url = await provider.authorization_url(state="s", nonce="n" * 43, verifier=VERIFIER)
    async with aiohttp.ClientSession() as session, session.get(url, allow_redirects=False) as answer:
        query = parse_qs(urlsplit(answer.headers["location"]).query)
    return await provider.identity(code=query["code"][0], verifier=VERIFIER, nonce="n" * 43)


async def test_a_new_key_is_fetched_when_a_token_names_it_but_not_at_every_token(
    server: OidcServer, provider: OidcProvider, clock: MovedClock
) -> None:
    assert (await sign_in(provider)).subject == "emmy"
    old = server.key
    server.key = RSAKey.generate_key(2048, {"kid": "k2", "use": "sig"})
    try:
        with pytest.raises(OidcRefused):  # a flood of unknown key ids makes no flood of requests
            await sign_in(provider)
        clock.ahead = timedelta(seconds=31)
        assert (await sign_in(provider)).subject == "emmy"
    finally:
        server.key = old


@pytest.mark.parametrize(
    "said",
    [
        {"issuer": "https://evil.example"},
        {"issuer": None},
        {"token_endpoint": "http://tokens.example/token"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": "http://169.254.169.254/keys"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": 7},
        {"more": "x" * 300_000},
    ],
    ids=lambda said: str(said)[:60],
)
async def test_a_discovery_document_that_leads_astray_is_not_believed(
    server: OidcServer, provider: OidcProvider, said: dict[str, object]
) -> None:
    server.discovery = said
    with pytest.raises(OidcUnavailable):
        await sign_in(provider)
    server.reset()
    assert (await sign_in(provider)).subject == "emmy"  # and nothing of it was kept


async def test_a_key_of_another_kind_does_not_verify(server: OidcServer, provider: OidcProvider) -> None:
    elliptic = ECKey.generate_key("P-256")
    server.sign = lambda header, claims: jwt.encode(
        {**header, "alg": "ES256"}, claims, elliptic, algorithms=["ES256"]
    )
    with pytest.raises(OidcRefused):
        await sign_in(provider)


async def test_a_provider_that_is_away_is_said_to_be(clock: MovedClock) -> None:
    provider = OidcProvider(config("http://127.0.0.1:9/campus"), CALLBACK, clock)
    with pytest.raises(OidcUnavailable):
        await provider.authorization_url(state="s", nonce="n", verifier="v")
    await provider.close()


@pytest.mark.parametrize("issuer", ["http://idp.example", "ftp://idp.example", "https://", "idp.example", ""])
def test_an_issuer_without_tls_is_refused_at_the_start(clock: MovedClock, issuer: str) -> None:
    with pytest.raises(ValueError, match="https"):
        OidcProvider(config(issuer), CALLBACK, clock)
