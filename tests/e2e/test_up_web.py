"""The README's promise, as a person lives it: the printed credentials, a real model, a browser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import DESKTOP, App, Shoot, Watch, take_screenshot, wait_until
from tests.support.up import Up, free_port

QUESTION = "Why does a larger sample give a more precise estimate? Answer in three short sentences."


@dataclass
class Printed:
    """Where it runs, and the credentials of the banner."""

    url: str
    admin_email: str
    admin_password: str


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A first start in an empty data directory."""
    directory = tmp_path_factory.mktemp("up-web")
    found = Up(directory / "data", free_port(), directory / "output")
    try:
        found.start()
        yield found
    finally:
        found.stop()


@pytest.fixture
def printed(up: Up) -> Printed:
    """What the first start printed."""
    return Printed(up.url, up.first_run["admin_email"], up.first_run["admin_password"])


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    """A fresh browser profile that fails the test on any console error."""
    context = browser.new_context(viewport=DESKTOP, locale="en-US")
    page = context.new_page()
    watch = Watch(page)
    yield page
    context.close()
    watch.check()


def test_the_printed_credentials_lead_to_a_real_answer_that_costs_what_the_wallet_lost(
    up: Up, printed: Printed, tab: Page, shoot_tab: Shoot
) -> None:
    app = App(tab, printed)
    app.open("/")
    app.sign_in()
    tab.locator(".composer").wait_for()
    before = Decimal(app.balance())
    assert before == Decimal(10)
    app.send(QUESTION)
    lengths: set[int] = set()

    def ended() -> bool:
        lengths.add(len(app.answer_text()))
        return tab.locator("[data-testid=answer][data-status=done]").count() == 1

    wait_until(ended, timeout_s=90, step_s=0.02)
    assert len(lengths - {0}) >= 4, f"the text grew in {len(lengths)} steps only"
    app.finish()
    cost = Decimal(app.cost())
    assert cost > 0
    wait_until(lambda: Decimal(app.balance()) == before - cost)
    assert up.balance() == before - cost
    shoot_tab("chat-light-en")
    tab.locator('a[href^="/traces/"]').last.click()
    expect(tab.get_by_text("billing.captured")).to_be_visible()
    expect(tab.get_by_text("local", exact=True).first).to_be_visible()


@pytest.fixture
def shoot_tab(tab: Page, tmp_path_factory: pytest.TempPathFactory) -> Shoot:
    """Take a screenshot of the tab; kept ones go to the repository when asked for."""
    folder = tmp_path_factory.mktemp("screenshots")
    return lambda title: take_screenshot(tab, title, folder)
