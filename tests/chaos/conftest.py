"""A platform of the chaos tests' own: nothing here disturbs, or is disturbed by, other tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deepspace.kit.embedded_postgres import EmbeddedPostgres
from deepspace.testing.fake_upstream import FakeUpstream
from tests.chaos.books import fresh_database
from tests.chaos.site import Fleet, fleet
from tests.support.live import Live, start_live


@pytest.fixture(scope="session")
def site(
    postgres: EmbeddedPostgres, upstream: FakeUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    """A gateway that stays alive, to manage things and to look; what dies are the gateways of a fleet."""
    url = fresh_database(postgres, "chaos")
    with start_live(url, upstream, tmp_path_factory.mktemp("site")) as running:
        yield running


@pytest.fixture
def gateways(site: Live, tmp_path: Path) -> Iterator[Fleet]:
    """A fleet on the site's database."""
    with fleet(site, tmp_path) as found:
        yield found
