"""Changing a password, and setting a forgotten one."""

from __future__ import annotations

import time

import httpx2
import psycopg
from argon2 import PasswordHasher

from tests.support.live import PASSWORD, Live, as_
from tests.support.mailbox import Mailbox, address, me, problem, register, sign_in

NEW = "an entirely new password"


def test_a_password_is_changed_by_who_knows_it_and_other_sessions_end(
    site: Live, browser: httpx2.Client, mailbox: Mailbox
) -> None:
    path, body = "/api/auth/password/change", {"current_password": PASSWORD, "new_password": NEW}
    problem(browser.post(path, json=body), 401, "unauthorized")
    problem(browser.post(path, json=body, headers=as_(site.api_key)), 403, "permission_denied")
    someone = register(browser)
    with httpx2.Client(base_url=site.url, trust_env=False) as elsewhere:
        other = sign_in(elsewhere, someone.email).json()["access_token"]
        wrong = {**body, "current_password": "not this one"}
        problem(browser.post(path, json=wrong, headers=as_(someone.token)), 401, "invalid_credentials")
        assert browser.post(path, json=body, headers=as_(someone.token)).status_code == 204
        problem(me(elsewhere, other), 401, "session_expired")
        problem(elsewhere.post("/api/auth/refresh"), 401, "session_expired")
        problem(sign_in(elsewhere, someone.email), 401, "invalid_credentials")
        assert sign_in(elsewhere, someone.email, NEW).status_code == 200
    assert me(browser, someone.token).status_code == 200
    assert mailbox.wait(someone.email, 2)["Subject"] == "Your password was changed"


def test_a_stolen_access_token_guesses_no_password(site: Live, browser: httpx2.Client) -> None:
    someone = register(browser)
    body = {"current_password": "a guess", "new_password": NEW}
    statuses = [
        browser.post("/api/auth/password/change", json=body, headers=as_(someone.token)).status_code
        for _ in range(12)
    ]
    assert statuses == [401] * 10 + [429] * 2


def test_a_forgotten_password_is_set_by_a_link_once_and_every_session_ends(
    site: Live, browser: httpx2.Client, mailbox: Mailbox
) -> None:
    someone = register(browser)
    assert browser.post("/api/auth/password/forgot", json={"email": someone.email.upper()}).status_code == 202
    token = mailbox.token(someone.email, 2)
    weak = {"token": token, "password": "short"}
    problem(browser.post("/api/auth/password/reset", json=weak), 422, "validation_failed")
    body = {"token": token, "password": NEW}
    assert browser.post("/api/auth/password/reset", json=body).status_code == 204
    problem(browser.post("/api/auth/password/reset", json=body), 404, "link_invalid")
    problem(me(browser, someone.token), 401, "session_expired")
    problem(browser.post("/api/auth/refresh"), 401, "session_expired")
    problem(sign_in(browser, someone.email), 401, "invalid_credentials")
    signed_in = sign_in(browser, someone.email, NEW)
    assert signed_in.status_code == 200
    # Whoever reads the mail has the address.
    assert me(browser, signed_in.json()["access_token"]).json()["email_verified"] is True


def test_a_forgotten_password_has_one_answer_whoever_asks(
    site: Live, browser: httpx2.Client, mailbox: Mailbox
) -> None:
    someone, nobody = register(browser), address()
    answers = [
        browser.post("/api/auth/password/forgot", json={"email": email})
        for email in (someone.email, nobody, "nonsense", "")
    ]
    assert {(answer.status_code, answer.text) for answer in answers} == {(202, "null")}
    mailbox.wait(someone.email, 2)
    assert mailbox.to(nobody) == []


def test_nobodys_mailbox_is_flooded(site: Live, browser: httpx2.Client, mailbox: Mailbox) -> None:
    someone = register(browser)
    for _ in range(6):
        browser.post("/api/auth/password/forgot", json={"email": someone.email})
    mailbox.wait(someone.email, 4)
    time.sleep(0.3)
    assert len(mailbox.to(someone.email)) == 4  # the welcome, and three links


def test_a_link_ends_after_half_an_hour_with_the_next_link_and_with_another_address(
    site: Live, browser: httpx2.Client, mailbox: Mailbox
) -> None:
    someone = register(browser)
    ask = {"email": someone.email}
    browser.post("/api/auth/password/forgot", json=ask)
    first = mailbox.token(someone.email, 2)
    browser.post("/api/auth/password/forgot", json=ask)
    second = mailbox.token(someone.email, 3)
    with psycopg.connect(site.database_url, autocommit=True) as database:
        kept = database.execute(
            "SELECT expires_at - created_at, token_hash FROM one_time_tokens"
            " WHERE user_id = %s AND purpose = 'reset_password'",
            [someone.id],
        ).fetchall()
        assert [row[0].total_seconds() for row in kept] == [1800]
        assert second.encode() not in kept[0][1]  # hashed at rest
        database.execute("UPDATE users SET email = %s WHERE id = %s", [address(), someone.id])
    for token in (first, second, "x" * 43):
        body = {"token": token, "password": NEW}
        problem(browser.post("/api/auth/password/reset", json=body), 404, "link_invalid")


def test_a_hash_of_old_parameters_is_made_again_at_the_next_sign_in(
    site: Live, browser: httpx2.Client
) -> None:
    someone = register(browser)
    weak = PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1).hash(PASSWORD)
    with psycopg.connect(site.database_url, autocommit=True) as database:
        database.execute("UPDATE users SET password_hash = %s WHERE id = %s", [weak, someone.id])
        assert sign_in(browser, someone.email).status_code == 200
        [kept] = database.execute(
            "SELECT password_hash FROM users WHERE id = %s", [someone.id]
        ).fetchone() or [""]
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert sign_in(browser, someone.email).status_code == 200
