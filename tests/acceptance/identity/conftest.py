"""A gateway where everybody may register, with an outbox and two sign-in providers."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.support.live import Live, launch, wait_ready
from tests.support.mailbox import Mailbox
from tests.support.oidc import CLIENT_ID, CLIENT_SECRET, OidcServer


@pytest.fixture(scope="session")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of `site`."""
    return tmp_path_factory.mktemp("site")


@pytest.fixture(scope="session")
def provider() -> Iterator[OidcServer]:
    """A sign-in provider."""
    with OidcServer() as server:
        yield server


@pytest.fixture(scope="session")
def site(live: Live, provider: OidcServer, directory: Path) -> Iterator[Live]:
    """A second gateway on the same database, open to everybody."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    environment = {
        "DEEPSPACE_DATABASE_URL": live.database_url,
        "DEEPSPACE_SECRET_KEY": live.secret_key,
        "DEEPSPACE_DATA_DIR": str(directory),
        "DEEPSPACE_PUBLIC_URL": url,
        "DEEPSPACE_REGISTRATION": "open",
        "DEEPSPACE_TRUSTED_PROXIES": "127.0.0.1",
    }
    for name, trusted in (("CAMPUS", "true"), ("OTHER", "false")):
        environment |= {
            f"DEEPSPACE_OIDC__{name}__ISSUER": f"{provider.base}/{name.lower()}",
            f"DEEPSPACE_OIDC__{name}__CLIENT_ID": CLIENT_ID,
            f"DEEPSPACE_OIDC__{name}__CLIENT_SECRET": CLIENT_SECRET,
            f"DEEPSPACE_OIDC__{name}__LINK_BY_EMAIL": trusted,
        }
    process = launch(environment, listener, directory / "gateway.log")
    wait_ready(url, process, directory / "gateway.log")
    with httpx2.Client(base_url=url, timeout=30, trust_env=False) as http:
        yield dataclasses.replace(live, url=url, http=http, process=process, log=directory / "gateway.log")
    process.terminate()
    process.wait(20)
    listener.close()


@pytest.fixture
def mailbox(site: Live, directory: Path) -> Mailbox:
    """The mails that `site` sends."""
    return Mailbox(directory / "outbox")


@pytest.fixture
def browser(site: Live) -> Iterator[httpx2.Client]:
    """A client with a cookie jar of its own."""
    with httpx2.Client(base_url=site.url, timeout=10, trust_env=False) as client:
        yield client


@pytest.fixture
def elsewhere(site: Live) -> Iterator[httpx2.Client]:
    """Another browser."""
    with httpx2.Client(base_url=site.url, timeout=10, trust_env=False) as client:
        yield client
