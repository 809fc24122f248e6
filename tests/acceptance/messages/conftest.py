"""The official `anthropic` SDK in front of the gateway."""

from __future__ import annotations

from collections.abc import Iterator

import anthropic
import pytest

from deepspace.testing.fake_anthropic import FakeAnthropic
from tests.support.live import Live


@pytest.fixture
def sdk(live: Live, claude: FakeAnthropic) -> Iterator[anthropic.Anthropic]:
    """The client as Anthropic ships it, with another base URL."""
    with anthropic.Anthropic(base_url=live.url, api_key=live.api_key, max_retries=0) as client:
        yield client
