"""A person's own account: name, language, address, deletion."""

from __future__ import annotations

import time

import httpx2
import psycopg
import pytest

from tests.support.live import PASSWORD, Live, as_
from tests.support.mailbox import Mailbox, address, me, problem, register, sign_in


def test_name_and_language_change_and_nothing_else_does(site: Live, browser: httpx2.Client) -> None:
    problem(browser.patch("/api/me", json={"name": "x"}), 401, "unauthorized")
    problem(browser.patch("/api/me", json={"name": "x"}, headers=as_(site.api_key)), 403, "permission_denied")
    someone = register(browser)
    changed = browser.patch("/api/me", json={"name": "Ada L.", "locale": "zh-CN"}, headers=as_(someone.token))
    assert (changed.json()["name"], changed.json()["locale"]) == ("Ada L.", "zh-CN")
    assert me(browser, someone.token).json() == changed.json()
    for body in ({"is_operator": True}, {"email": "x@example.org"}, {"locale": "de"}, {"name": "  "}):
        answer = browser.patch("/api/me", json=body, headers=as_(someone.token))
        problem(answer, 422, "validation_failed")
    assert me(browser, someone.token).json() == changed.json()


def test_an_address_changes_when_the_new_one_is_confirmed_and_the_old_one_hears_of_it(
    site: Live, browser: httpx2.Client, mailbox: Mailbox
) -> None:
    someone, new = register(browser), address()
    wrong = {"email": new, "password": "not this one"}
    problem(browser.post("/api/me/email", json=wrong, headers=as_(someone.token)), 401, "invalid_credentials")
    body = {"email": new, "password": PASSWORD}
    assert browser.post("/api/me/email", json=body, headers=as_(someone.token)).status_code == 202
    assert new in mailbox.wait(someone.email, 2).get_content()
    assert me(browser, someone.token).json()["email"] == someone.email  # not yet
    token = mailbox.token(new)
    assert browser.post("/api/auth/email/confirm", json={"token": token}).status_code == 204
    found = me(browser, someone.token).json()
    assert (found["email"], found["email_verified"]) == (new, True)
    problem(sign_in(browser, someone.email), 401, "invalid_credentials")
    assert sign_in(browser, new).status_code == 200
    # The first mail, to the old address, proves nothing any more.
    old = {"token": mailbox.token(someone.email)}
    problem(browser.post("/api/auth/email/confirm", json=old), 404, "link_invalid")


def test_an_address_that_somebody_else_has_is_not_taken_over(
    browser: httpx2.Client, elsewhere: httpx2.Client, mailbox: Mailbox
) -> None:
    someone, new = register(browser), address()
    body = {"email": new, "password": PASSWORD}
    assert browser.post("/api/me/email", json=body, headers=as_(someone.token)).status_code == 202
    register(elsewhere, email=new)
    token = mailbox.token(new)
    problem(browser.post("/api/auth/email/confirm", json={"token": token}), 409, "email_taken")


def test_an_account_is_deleted_with_everything_but_its_id_in_the_books(
    site: Live, browser: httpx2.Client, mailbox: Mailbox
) -> None:
    problem(browser.get("/api/me/deletion"), 401, "unauthorized")
    problem(browser.get("/api/me/deletion", headers=as_(site.api_key)), 403, "permission_denied")
    someone = register(browser, name="Somebody Unmistakable")
    found = me(browser, someone.token).json()
    [org] = found["organizations"]
    key = browser.post(
        f"/api/organizations/{org['id']}/api-keys",
        json={"name": "k", "project_id": org["projects"][0]["id"]},
        headers=as_(someone.token),
    ).json()["secret"]
    outlook = browser.get("/api/me/deletion", headers=as_(someone.token)).json()
    assert outlook == {
        "possible": True,
        "obstacles": [],
        "organizations": [{"id": org["id"], "name": org["name"], "fate": "close"}],
        "api_keys": 1,
        "sessions": 1,
    }
    assert me(browser, someone.token).json() == found  # looking changed nothing
    wrong = browser.request("DELETE", "/api/me", json={"password": "no"}, headers=as_(someone.token))
    problem(wrong, 401, "invalid_credentials")
    gone = browser.request("DELETE", "/api/me", json={"password": PASSWORD}, headers=as_(someone.token))
    assert gone.status_code == 204, gone.text
    problem(me(browser, someone.token), 401, "session_expired")
    time.sleep(1.1)
    problem(site.call("/api/me", key), 401, "unauthorized")
    problem(sign_in(browser, someone.email), 401, "invalid_credentials")
    with psycopg.connect(site.database_url) as database:
        tables = database.execute(
            "SELECT table_name FROM information_schema.tables"
            " WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
        ).fetchall()
        for (table,) in tables:
            rows = database.execute(f'SELECT t::text FROM "{table}" t').fetchall()
            assert not [row for (row,) in rows if someone.email in row], table
        events = database.execute(
            "SELECT event FROM audit_logs WHERE actor_id = %s ORDER BY id", [someone.id]
        ).fetchall()
    assert [event for (event,) in events if event.startswith("account.")] == [
        "account.registered",
        "account.signed_in",
        "account.deleted",
    ]


def test_the_only_owner_of_an_organisation_with_other_members_hands_it_over_first(
    site: Live, browser: httpx2.Client, elsewhere: httpx2.Client
) -> None:
    someone = register(browser)
    other = register(elsewhere)
    [org] = me(browser, someone.token).json()["organizations"]
    with psycopg.connect(site.database_url, autocommit=True) as database:
        add = "INSERT INTO org_members (org_id, user_id, role) VALUES (%s, %s, %s)"
        database.execute(add, [org["id"], other.id, "member"])
        outlook = browser.get("/api/me/deletion", headers=as_(someone.token)).json()
        assert outlook["possible"] is False
        assert outlook["organizations"][0]["fate"] == "hand_over_first"
        body = {"password": PASSWORD}
        refused = browser.request("DELETE", "/api/me", json=body, headers=as_(someone.token))
        problem(refused, 409, "ownership_first")
        database.execute("UPDATE org_members SET role = 'owner' WHERE user_id = %s", [other.id])
        gone = browser.request("DELETE", "/api/me", json=body, headers=as_(someone.token))
        assert gone.status_code == 204, gone.text
    time.sleep(1.1)
    [_, kept] = sorted(
        me(site.http, other.token).json()["organizations"], key=lambda one: one["id"] == org["id"]
    )
    assert kept["id"] == org["id"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/me/email", {"email": "x@example.org", "password": PASSWORD}),
        ("POST", "/api/me/email/verification", None),
        ("DELETE", "/api/me", {"password": PASSWORD}),
        ("DELETE", "/api/me/sessions", None),
        ("GET", "/api/me/second-factor", None),
        ("POST", "/api/me/second-factor", {"password": PASSWORD}),
        ("POST", "/api/me/second-factor/confirm", {"code": "123456"}),
        ("POST", "/api/me/second-factor/recovery-codes", {"password": PASSWORD, "code": "123456"}),
        ("POST", "/api/me/second-factor/disable", {"password": PASSWORD, "code": "123456"}),
        ("GET", "/api/me/identities", None),
        ("POST", "/api/me/identities/campus", {"password": PASSWORD}),
    ],
)
def test_an_api_key_changes_nobodys_account(site: Live, method: str, path: str, body: object) -> None:
    problem(site.call(path, site.api_key, method, json=body), 403, "permission_denied")
