"""A provider in the Anthropic dialect behind the gateway, for whoever asks for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deepspace.testing.fake_anthropic import BEHAVIOURS, FakeAnthropic
from tests.support.live import Live


@pytest.fixture(scope="session")
def claude(live: Live) -> Iterator[FakeAnthropic]:
    """A provider in the Anthropic dialect; the gateway has a channel to it."""
    with FakeAnthropic() as fake:
        served = [{"model": name, "max_output_tokens": 200} for name in BEHAVIOURS]
        served.append({"model": "our-claude", "upstream_model": "claude-echo", "max_output_tokens": 5})
        live.channel(*served, kind="anthropic", base_url=fake.base_url, api_key=fake.api_key)
        yield fake
