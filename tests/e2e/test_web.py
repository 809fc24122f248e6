"""The web app in a real browser: what a person sees, hears and pays."""

import json
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import App, Watch, axe_violations, wait_until

SLOW_MODEL = "fake-slow"
PROMPT = "Write a short study on sampling: why it matters and one formula. " + "One more sentence. " * 8
MARKS = "[document.documentElement.lang, document.documentElement.dataset.theme]"
STORED = "Object.values(localStorage).join() + Object.values(sessionStorage).join()"
Shoot = Callable[[str], None]
MODES = [(locale, theme) for locale in ("en-US", "zh-CN") for theme in ("light", "dark")]


def ask(app: App, text: str = PROMPT) -> None:
    """A finished answer of the slow model in a new tab."""
    app.open("/")
    app.choose_model(SLOW_MODEL)
    app.send(text)
    app.finish()


# -- signing in ----------------------------------------


def test_a_stranger_is_asked_to_sign_in_and_then_sees_the_page_they_wanted(guest: Page, app: App) -> None:
    app.open("/traces")
    guest.wait_for_url("**/login?next=*")
    app.sign_in()
    guest.wait_for_url("**/traces")
    expect(guest.get_by_role("heading", level=1, name="Traces")).to_be_visible()


def test_a_wrong_password_is_explained_and_the_form_stays(
    guest: Page, app: App, watch: Watch, shoot: Shoot
) -> None:
    watch.expect_error("/api/auth/login")
    app.open("/login")
    app.sign_in(password="not the password")
    alert = guest.get_by_role("alert")
    expect(alert).to_contain_text("The email or password is not correct.")
    expect(alert).to_contain_text(re.compile(r"Trace [0-9a-f]{32}"))
    expect(guest.locator("input[name=email]")).to_have_value(app.live.admin_email)
    expect(guest.get_by_role("button", name="Sign in", exact=True)).to_be_enabled()
    shoot("login-error-light-en")
    assert axe_violations(guest) == []


def test_an_empty_form_says_what_is_missing_and_puts_the_focus_there(guest: Page, app: App) -> None:
    app.open("/login", locale="zh-CN")
    guest.get_by_role("button", name="登录", exact=True).click()
    expect(guest.get_by_text("请输入邮箱")).to_be_visible()
    expect(guest.get_by_text("请输入密码")).to_be_visible()
    expect(guest.locator("input[name=email]")).to_be_focused()


def test_a_session_survives_a_reload_and_ends_with_sign_out(guest: Page, app: App) -> None:
    app.open("/login")
    app.sign_in()
    guest.locator(".composer").wait_for()
    guest.reload()
    guest.locator(".composer").wait_for()
    assert guest.evaluate(STORED).count("eyJ") == 0
    guest.locator(".account-button").click()
    guest.get_by_role("button", name="Sign out").click()
    guest.wait_for_url("**/login*")
    guest.goto(app.live.url + "/")
    guest.wait_for_url("**/login*")


# -- chatting ----------------------------------------


def test_tokens_arrive_one_by_one_and_the_wallet_pays_exactly_the_cost(page: Page, app: App) -> None:
    app.open("/")
    app.choose_model(SLOW_MODEL)
    before = Decimal(app.balance())
    app.send(PROMPT)
    lengths: set[int] = set()

    def streaming_seen() -> bool:
        lengths.add(len(app.answer_text()))
        return page.locator("[data-testid=answer][data-status=done]").count() == 1

    wait_until(streaming_seen, timeout_s=60, step_s=0.02)
    assert len(lengths - {0}) >= 4, f"the text grew in {len(lengths)} steps only"
    app.finish()
    cost = Decimal(app.cost())
    assert cost > 0
    wait_until(lambda: Decimal(app.balance()) == before - cost)
    expect(page.locator(".cost").last).to_contain_text(re.compile(r"\d+ in.*\d+ out.*\$0\.0"))


def test_an_answer_that_is_stopped_keeps_its_text_and_its_cost(page: Page, app: App) -> None:
    app.open("/")
    app.choose_model(SLOW_MODEL)
    before = Decimal(app.balance())
    app.send(PROMPT)
    wait_until(lambda: len(app.answer_text()) > 12, timeout_s=30, step_s=0.02)
    page.get_by_role("button", name="Stop generating").click()
    expect(page.locator("[data-testid=answer][data-status=stopped]")).to_be_visible(timeout=1000)
    kept = app.answer_text()
    page.wait_for_timeout(500)
    assert app.answer_text() == kept
    app.finish(timeout_s=30)
    wait_until(lambda: Decimal(app.balance()) == before - Decimal(app.cost()))
    app.send("And again.")
    app.finish()
    assert page.locator("[data-testid=answer]").count() == 2


def test_a_chat_has_several_turns_and_survives_a_reload(page: Page, app: App) -> None:
    ask(app, "First question.")
    app.send("Second question.")
    wait_until(lambda: page.locator("[data-testid=cost]").count() == 2, timeout_s=60)
    page.wait_for_timeout(600)
    page.reload()
    expect(page.locator("[data-testid=answer]")).to_have_count(2)
    page.get_by_role("button", name="New chat").click()
    expect(page.locator("[data-testid=answer]")).to_have_count(0)
    page.get_by_role("button", name="First question.").click()
    expect(page.locator("[data-testid=answer]")).to_have_count(2)


def test_the_answer_is_announced_once_when_it_is_done(page: Page, app: App) -> None:
    app.open("/")
    app.choose_model(SLOW_MODEL)
    announcer = page.locator("[data-testid=announcer]")
    app.send(PROMPT)
    wait_until(lambda: len(app.answer_text()) > 12, timeout_s=30, step_s=0.02)
    assert announcer.inner_text() == ""
    app.finish()
    expect(announcer).to_contain_text("Answer complete:")


def test_a_refused_call_says_why_and_can_be_tried_again(page: Page, app: App, watch: Watch) -> None:
    watch.expect_error("/v1/chat/completions")
    refusal = {"error": {"message": "no", "code": "insufficient_funds", "param": None, "trace_id": "a" * 32}}
    app.open("/")
    app.choose_model(SLOW_MODEL)
    page.route("**/v1/chat/completions", lambda route: route.fulfill(status=402, json=refusal))
    app.send("Hello")
    expect(page.locator(".failure")).to_contain_text("Not enough funds.")
    page.unroute("**/v1/chat/completions")
    page.get_by_role("button", name="Regenerate").click()
    app.finish()
    expect(page.locator(".failure")).to_have_count(0)


def test_a_model_without_a_price_cannot_be_chosen(page: Page, app: App) -> None:
    free = {"id": "free", "object": "model", "created": 1, "owned_by": "x", "local": False, "pricing": None}
    free |= {"context_length": None, "max_output_tokens": None, "purpose": "chat"}
    page.route("**/v1/models", lambda route: route.fulfill(json={"object": "list", "data": [free]}))
    app.open("/")
    expect(page.get_by_role("alert")).to_contain_text("No models yet")
    page.locator(".picker-button").click()
    option = page.get_by_role("option", name=re.compile("free"))
    expect(option).to_have_attribute("aria-disabled", "true")
    expect(option).to_contain_text("Has no price")
    page.keyboard.press("Enter")
    expect(page.locator(".picker-panel")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".picker-panel")).to_have_count(0)
    expect(page.locator(".picker-button")).to_be_focused()


RICH_ANSWER = r"""A sample tells us about **a whole population**. Its error shrinks with the root of its size:

$$
\operatorname{SE}(\bar{x}) = \frac{\sigma}{\sqrt{n}}\,\sqrt{1 - \frac{n}{N}}
$$

| Design | Good at | Watch out for |
|---|---|---|
| Simple random | Unbiased, easy to analyse | Needs a full list |
| Stratified | Small groups, lower variance | Weights, \(w_h = N_h / n_h\) |

```python
def standard_error(sigma: float, n: int, population: int) -> float:
    return sigma / n**0.5 * (1 - n / population) ** 0.5
```

Asking 400 people costs about $2,000; asking 1,600 costs $8,000 and only halves the error.
"""


def sse(text: str) -> str:
    """A whole answer as the gateway streams it."""
    parts = re.findall(r"\s*\S+|\s+$", text)
    chunks: list[dict[str, Any]] = [{"choices": [{"index": 0, "delta": {"content": part}}]} for part in parts]
    usage = {"prompt_tokens": 31, "completion_tokens": 268, "cost": "0.00005515", "currency": "USD"}
    chunks.append({"choices": [], "usage": usage})
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"


def answer_with(page: Page, text: str) -> None:
    """Lets the next calls be answered with a text of our own, under the real content policy."""
    headers = {"content-type": "text/event-stream", "x-trace-id": "5" * 32}
    page.route(
        "**/v1/chat/completions", lambda route: route.fulfill(status=200, headers=headers, body=sse(text))
    )


def test_formulas_tables_and_code_are_typeset(page: Page, app: App, shoot: Shoot) -> None:
    answer_with(page, RICH_ANSWER)
    app.open("/")
    app.choose_model(SLOW_MODEL)
    app.send("How large does my sample have to be? Two designs, some code.")
    app.finish()
    answer = page.locator("[data-testid=answer]")
    expect(answer.locator(".katex-display")).to_have_count(1)
    expect(answer.locator(".katex")).to_have_count(2)
    expect(answer.locator("td")).to_have_count(6)
    expect(answer.locator(".hljs-keyword").first).to_be_visible()
    expect(answer).to_contain_text("costs about $2,000; asking 1,600 costs $8,000")
    page.mouse.move(5, 400)
    page.wait_for_timeout(300)
    shoot("chat-rich-light-en")
    assert axe_violations(page) == []


def test_an_answer_cannot_run_code_or_call_home(page: Page, app: App) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    hostile = (
        "<script>document.title='owned'</script> <img src=x onerror=\"document.title='owned'\"> "
        "![spy](https://spy.example/p.png) [link](javascript:document.title='owned') "
        "<form action='/x'><input></form> <style>body{display:none}</style> end"
    )
    answer_with(page, hostile)
    app.open("/")
    app.choose_model(SLOW_MODEL)
    app.send("Be hostile.")
    app.finish()
    text = page.locator("[data-testid=answer-text]")
    expect(text).to_contain_text("<script>document.title='owned'</script>")
    assert text.locator("script, img, form, input, style, a").count() == 0
    assert "owned" not in page.title()
    assert not [url for url in asked if not url.startswith(app.live.url)]


# -- the trace ----------------------------------------


def test_the_trace_of_an_answer_tells_its_story(page: Page, app: App) -> None:
    ask(app)
    cost = app.cost()
    page.get_by_role("link", name="See the trace of this answer").click()
    page.wait_for_url(re.compile(r"/traces/[0-9a-f]{32}$"))
    trace = page.locator("[data-testid=trace]")
    expect(page.locator("[data-testid=trace-state]")).to_have_text("Settled")
    expect(trace).to_contain_text(SLOW_MODEL)
    expect(trace).to_contain_text(format(Decimal(cost).normalize(), "f"))
    for step in ("Authentication", "Budget hold", "Model call", "Usage and settlement"):
        expect(trace.get_by_text(step, exact=True).first).to_be_visible()
    trace_id = page.url.rsplit("/", 1)[1]
    page.get_by_role("link", name="Look up another trace").click()
    page.get_by_role("textbox", name="Trace id").fill(f" {trace_id.upper()} ")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/traces/{trace_id}")


def test_an_unknown_trace_and_a_mistyped_id_are_explained(page: Page, app: App, watch: Watch) -> None:
    watch.expect_error("/api/traces/")
    app.open("/traces")
    page.get_by_role("textbox", name="Trace id").fill("hello")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("32 hexadecimal characters")
    page.goto(app.live.url + "/traces/" + "0" * 32)
    expect(page.get_by_role("heading", name="This trace was not found")).to_be_visible()
    page.goto(app.live.url + "/no/such/page")
    expect(page.get_by_role("heading", name="There is no such page")).to_be_visible()


# -- language, theme, keyboard, phone ----------------------------------------


def test_language_and_theme_switch_at_once_and_are_remembered(page: Page, app: App) -> None:
    app.open("/")
    page.locator(".account-button").click()
    page.get_by_role("radio", name="简体中文").click()
    expect(page.get_by_role("button", name="新对话")).to_be_visible()
    page.get_by_role("radio", name="深色").click()
    page.reload()
    expect(page.get_by_role("button", name="新对话")).to_be_visible()
    assert page.evaluate(MARKS) == ["zh-CN", "dark"]
    page.locator(".account-button").click()
    page.get_by_role("radio", name="English").click()
    page.get_by_role("radio", name="Light").click()
    assert page.evaluate(MARKS) == ["en-US", "light"]


def test_everything_can_be_done_by_keyboard(guest: Page, app: App) -> None:
    app.open("/login")
    expect(guest.locator("input[name=email]")).to_be_focused()
    guest.keyboard.type(app.live.admin_email)
    guest.keyboard.press("Tab")
    guest.keyboard.type(app.live.admin_password)
    guest.keyboard.press("Enter")
    expect(app.composer()).to_be_focused()
    expect(guest.locator(".picker-button")).to_be_enabled()
    guest.keyboard.press("Tab")
    expect(guest.locator(".picker-button")).to_be_focused()
    guest.keyboard.press("Enter")
    expect(guest.get_by_role("combobox")).to_be_focused()
    guest.keyboard.type(SLOW_MODEL)
    guest.keyboard.press("Enter")
    expect(guest.locator(".picker-button")).to_contain_text(SLOW_MODEL)
    guest.keyboard.press("Shift+Tab")
    guest.keyboard.type("line one")
    guest.keyboard.press("Shift+Enter")
    guest.keyboard.type("line two")
    guest.keyboard.press("Enter")
    expect(guest.locator(".row-mine")).to_contain_text("line one\nline two")
    app.finish()
    for _ in range(30):
        guest.keyboard.press("Tab")
        if guest.evaluate("document.activeElement.className").startswith("cost-trace"):
            break
    guest.keyboard.press("Enter")
    guest.wait_for_url("**/traces/*")
    guest.reload()
    guest.locator("[data-testid=trace]").wait_for()
    guest.keyboard.press("Tab")
    expect(guest.get_by_role("link", name="Skip to content")).to_be_focused()


def test_a_phone_shows_everything_without_sideways_scrolling(page: Page, app: App, shoot: Shoot) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    ask(app)
    shoot("phone-light-en")
    fits = "document.documentElement.scrollWidth <= window.innerWidth"
    assert page.evaluate(fits)
    page.get_by_role("button", name="Open navigation").click()
    expect(page.get_by_role("button", name="New chat")).to_be_visible()
    page.wait_for_timeout(300)
    assert axe_violations(page) == []
    page.get_by_role("link", name="Traces", exact=True).click()
    page.locator(".trace-list a").first.click()
    page.locator("[data-testid=trace]").wait_for()
    shoot("phone-trace-light-en")
    assert page.evaluate(fits)
    assert axe_violations(page) == []


# -- accessibility and looks ----------------------------------------


def short(locale: str, theme: str) -> str:
    return f"{theme}-{locale[:2]}"


@pytest.mark.parametrize(("locale", "theme"), MODES)
def test_the_sign_in_page_has_no_barrier(
    guest: Page, app: App, locale: str, theme: str, shoot: Shoot
) -> None:
    app.open("/login", locale=locale, theme=theme)
    guest.locator("form").wait_for()
    shoot(f"login-{short(locale, theme)}")
    assert axe_violations(guest) == []


@pytest.mark.parametrize(("locale", "theme"), MODES)
def test_the_signed_in_pages_have_no_barrier(
    page: Page, app: App, locale: str, theme: str, shoot: Shoot
) -> None:
    faults: dict[str, Any] = {}

    def check(name: str) -> None:
        page.wait_for_timeout(250)
        shoot(f"{name}-{short(locale, theme)}")
        faults[name] = axe_violations(page)

    app.open("/", locale=locale, theme=theme)
    expect(page.locator(".picker-button")).to_be_enabled()
    check("chat-empty")
    page.locator(".picker-button").click()
    check("chat-models")
    page.keyboard.press("Escape")
    page.locator(".account-button").click()
    check("account")
    page.keyboard.press("Escape")
    app.choose_model(SLOW_MODEL)
    app.send(PROMPT)
    app.finish()
    page.mouse.move(5, 400)
    check("chat-answer")
    page.locator(".cost-trace").click()
    page.locator("[data-testid=trace]").wait_for()
    check("trace")
    page.locator(".back").click()
    check("traces")
    assert faults == {name: [] for name in faults}
