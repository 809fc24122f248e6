"""A real browser against a real gateway that serves the built web app.

`live` (from tests/conftest.py) gives `url`, `admin_email` and `admin_password`. A page fails its test on any
console message of level warning or error and on any page error; a test that provokes one names it with
`watch.expect_error(...)`. Screenshots go to a temporary folder; `E2E_SCREENSHOTS=1` writes the kept ones to
tests/e2e/screenshots, `E2E_SCREENSHOTS=folder` writes all of them there.
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP = {"width": 1280, "height": 800}
KEPT = {"chat-light-en", "chat-answer-dark-zh", "trace-light-en", "phone-light-en"}
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


class Watch:
    """Collects what went wrong in a page."""

    def __init__(self, page: Page) -> None:
        self.faults: list[str] = []
        self.expected: list[str] = []
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.faults.append(f"page error: {error}"))

    def expect_error(self, *fragments: str) -> None:
        """An error whose text or address holds one of these is part of the test."""
        self.expected.extend(fragments)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type not in {"error", "warning"}:
            return
        self.faults.append(f"console {message.type}: {message.text} ({message.location.get('url', '')})")

    def check(self) -> None:
        unexpected = [fault for fault in self.faults if not any(part in fault for part in self.expected)]
        assert not unexpected, "\n".join(unexpected)


class App:
    """The web app as a person uses it."""

    def __init__(self, page: Page, live: Any) -> None:
        self.page = page
        self.live = live
        self.opened = 0

    def open(self, path: str = "/", *, locale: str = "en-US", theme: str = "light") -> None:
        """Opens a page with the language and theme a person chose earlier."""
        self.opened += 1
        choice = {"deepspace.locale": locale, "deepspace.theme": theme}
        # Once per call, before any script of the page: a later reload keeps what the test has chosen since.
        self.page.add_init_script(
            f"""if (Number(sessionStorage.getItem('e2e') ?? 0) < {self.opened}) {{
              sessionStorage.setItem('e2e', '{self.opened}');
              const choice = {json.dumps(choice)};
              for (const [key, value] of Object.entries(choice)) localStorage.setItem(key, value);
            }}"""
        )
        self.page.goto(self.live.url + path)

    def sign_in(self, password: str | None = None) -> None:
        self.page.fill("input[name=email]", self.live.admin_email)
        self.page.fill("input[name=password]", self.live.admin_password if password is None else password)
        self.page.keyboard.press("Enter")

    def composer(self) -> Any:
        return self.page.locator(".composer textarea").first

    def choose_model(self, name: str) -> None:
        button = self.page.locator(".picker-button")
        button.click()
        self.page.locator(".picker-search").fill(name)
        self.page.keyboard.press("Enter")
        self.page.locator(".picker-panel").wait_for(state="detached")

    def send(self, text: str) -> None:
        self.composer().fill(text)
        self.page.keyboard.press("Enter")

    def answer_text(self) -> str:
        texts = self.page.locator("[data-testid=answer] [data-testid=answer-text]")
        return texts.last.inner_text() if texts.count() else ""

    def finish(self, timeout_s: float = 60) -> None:
        """Waits until the last answer has ended and its cost is known."""
        last = self.page.locator("[data-testid=answer]").last
        last.locator("[data-testid=cost]").wait_for(timeout=timeout_s * 1000)

    def cost(self) -> str:
        return self.page.locator("[data-testid=cost]").last.get_attribute("data-cost") or ""

    def balance(self) -> str:
        wallet = self.page.locator("[data-testid=wallet]")
        wallet.wait_for()
        return wallet.get_attribute("data-balance") or ""


def wait_until(check: Callable[[], bool], timeout_s: float = 15, step_s: float = 0.05) -> None:
    """Polls from here: a script that waits inside the page needs `eval`, which the content policy forbids."""
    end = time.monotonic() + timeout_s
    while not check():
        assert time.monotonic() < end, f"not true within {timeout_s} s"
        time.sleep(step_s)


def axe_violations(page: Page) -> list[str]:
    """Every WCAG 2.2 A/AA violation of the page as it is now, one line each."""
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(AXE.read_text())
    options = {"runOnly": {"type": "tag", "values": WCAG}}
    result = page.evaluate("(options) => axe.run(document, options)", options)
    return [
        f"{violation['id']}: {node['html'][:160]} – {node['failureSummary'][:300]}"
        for violation in result["violations"]
        for node in violation["nodes"]
    ]


Shoot = Callable[[str], None]


def take_screenshot(page: Page, title: str, folder: Path) -> None:
    """Save a screenshot: in `folder`, or where E2E_SCREENSHOTS says."""
    wish = os.environ.get("E2E_SCREENSHOTS", "")
    if wish == "1" and title in KEPT:
        folder = Path(__file__).parent / "screenshots"
    elif wish not in {"", "1"}:
        folder = Path(wish)
    folder.mkdir(exist_ok=True)
    page.screenshot(path=folder / f"{title}.png", animations="disabled")


@pytest.fixture(scope="package")
def browser(live: Any) -> Iterator[Browser]:
    """Chromium, only while tests of this folder run: Playwright keeps an event loop running in this thread.

    `live` comes first because it starts with an event loop of its own.
    """
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs Debian's chromium: apt-get install -y chromium fonts-noto-cjk")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=ARGS)
        yield running
        running.close()


@pytest.fixture(scope="package")
def signed_in(browser: Browser, live: Any) -> Iterator[BrowserContext]:
    """One signed-in person for the whole run: the sign-in route limits attempts."""
    context = browser.new_context(viewport=DESKTOP, locale="en-US")
    page = context.new_page()
    app = App(page, live)
    app.open("/login")
    app.sign_in()
    page.locator(".composer").wait_for()
    page.close()
    yield context
    context.close()


def _watched(page: Page) -> Iterator[Page]:
    page.watch = Watch(page)  # type: ignore[attr-defined]
    yield page
    page.close()
    page.watch.check()  # type: ignore[attr-defined]


@pytest.fixture
def page(signed_in: BrowserContext) -> Iterator[Page]:
    """A new tab of the signed-in person. Its chats are its own."""
    yield from _watched(signed_in.new_page())


@pytest.fixture
def guest(browser: Browser) -> Iterator[Page]:
    """A fresh browser profile of somebody who is not signed in."""
    context = browser.new_context(viewport=DESKTOP, locale="en-US")
    yield from _watched(context.new_page())
    context.close()


@pytest.fixture
def watch(request: pytest.FixtureRequest) -> Watch:
    name = "guest" if "guest" in request.fixturenames else "page"
    return request.getfixturevalue(name).watch


@pytest.fixture
def app(request: pytest.FixtureRequest, live: Any) -> App:
    name = "guest" if "guest" in request.fixturenames else "page"
    return App(request.getfixturevalue(name), live)


@pytest.fixture
def shoot(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], None]:
    """Takes a screenshot under this name."""
    name = "guest" if "guest" in request.fixturenames else "page"
    return lambda title: take_screenshot(request.getfixturevalue(name), title, tmp_path)
