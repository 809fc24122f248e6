"""Registration, and confirming the address."""

from __future__ import annotations

import re
import stat
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from tests.support.live import PASSWORD, Live, as_
from tests.support.mailbox import Mailbox, address, me, problem, register, sign_in, somewhere


def test_where_registration_is_open_one_gets_an_organisation_a_project_and_a_wallet(
    site: Live, browser: httpx2.Client
) -> None:
    assert browser.get("/api/auth/registration").json() == {"mode": "open"}
    someone = register(browser, organization_name="Ada's lab", locale="zh-CN")
    found = me(browser, someone.token).json()
    assert (found["email"], found["locale"], found["email_verified"]) == (someone.email, "zh-CN", False)
    assert found["is_operator"] is False
    [org] = found["organizations"]
    assert (org["name"], org["role"]) == ("Ada's lab", "owner")
    assert [project["name"] for project in org["projects"]] == ["Default"]
    assert site.wallet(org["id"], someone.token)["balance"] == "0"
    assert browser.post("/api/auth/refresh").status_code == 200  # the cookie is there too
    assert sign_in(browser, someone.email).status_code == 200  # unverified, and let in


def test_without_an_invitation_nobody_registers_where_one_is_needed(live: Live) -> None:
    assert live.http.get("/api/auth/registration").json() == {"mode": "invite"}
    body = {"email": address(), "password": PASSWORD, "name": "Ada"}
    problem(live.http.post("/api/auth/register", json=body), 403, "registration_closed")
    forged = {**body, "invitation_token": "x" * 43}
    problem(live.http.post("/api/auth/register", json=forged), 403, "registration_closed")
    # Without an invitation nothing is learned about addresses either.
    known = {**forged, "email": live.admin_email}
    problem(live.http.post("/api/auth/register", json=known), 403, "registration_closed")


@pytest.mark.parametrize(
    "wrong",
    [
        {"email": "nobody"},
        {"email": "a@b"},
        {"email": "a@x.org,b@y.org"},
        {"email": "Ada <ada@example.org>"},
        {"email": "a\n@example.org"},
        {"password": "short"},
        {"password": "x" * 201},
        {"name": ""},
        {"locale": "fr-FR"},
        {"is_operator": True},
    ],
    ids=str,
)
def test_what_is_no_registration_is_refused(browser: httpx2.Client, wrong: dict[str, object]) -> None:
    body = {"email": address(), "password": PASSWORD, "name": "Ada", **wrong}
    problem(browser.post("/api/auth/register", json=body, headers=somewhere()), 422, "validation_failed")


def test_an_address_has_one_account_also_for_racers(site: Live, browser: httpx2.Client) -> None:
    someone = register(browser)
    body = {"email": someone.email.upper(), "password": PASSWORD, "name": "Eve"}
    problem(browser.post("/api/auth/register", json=body, headers=somewhere()), 409, "email_taken")
    wanted = {"email": address(), "password": PASSWORD, "name": "Racer"}
    with ThreadPoolExecutor(4) as pool:
        statuses = sorted(
            pool.map(
                lambda _: site.http.post("/api/auth/register", json=wanted, headers=somewhere()).status_code,
                range(4),
            )
        )
    site.http.cookies.clear()
    assert statuses == [201, 409, 409, 409]


def test_the_link_of_the_mail_confirms_the_address_once(
    site: Live, browser: httpx2.Client, mailbox: Mailbox
) -> None:
    someone = register(browser, name="Ada https://evil.example {link}")
    mail = mailbox.wait(someone.email)
    text = mail.get_content()
    assert text.startswith("Hello Ada https evil example link,"), "a name brings no address into the mail"
    assert re.search(rf"{re.escape(site.url)}/confirm-email#token=[\w-]{{43}}\n", text)
    token = mailbox.token(someone.email)
    confirm = {"token": token}
    assert browser.post("/api/auth/email/confirm", json=confirm).status_code == 204
    assert me(browser, someone.token).json()["email_verified"] is True
    problem(browser.post("/api/auth/email/confirm", json=confirm), 404, "link_invalid")
    again = browser.post("/api/me/email/verification", headers=as_(someone.token))
    problem(again, 409, "conflict")


def test_a_new_confirmation_ends_the_one_before(browser: httpx2.Client, mailbox: Mailbox) -> None:
    someone = register(browser)
    first = mailbox.token(someone.email)
    assert browser.post("/api/me/email/verification", headers=as_(someone.token)).status_code == 202
    second = mailbox.token(someone.email, 2)
    problem(browser.post("/api/auth/email/confirm", json={"token": first}), 404, "link_invalid")
    assert browser.post("/api/auth/email/confirm", json={"token": second}).status_code == 204


def test_a_mail_is_in_the_readers_language_in_a_private_file_and_its_token_in_no_log(
    site: Live, browser: httpx2.Client, mailbox: Mailbox
) -> None:
    someone = register(browser, locale="zh-CN")
    mail = mailbox.wait(someone.email)
    assert mail["Subject"] == "确认您的邮箱地址"
    assert stat.S_IMODE(mailbox.outbox.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in mailbox.outbox.iterdir()} == {0o600}
    log = site.log.read_text()
    assert mailbox.token(someone.email) not in log
    assert someone.email not in log
    assert "mail is in a file" in log
