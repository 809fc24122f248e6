"""Deleting an organisation: looked at first, refused while money or calls are open, and then whole."""

from __future__ import annotations

import threading
import time
from typing import Any

import psycopg
import pytest

from tests.support.catalogue import columns, orphans, references, rows
from tests.support.live import PASSWORD, Live, as_
from tests.support.people import Lab, contents, people, verdict


def furnished(live: Live, balance: str = "1") -> Lab:
    """Return an organisation with something of everything, more than once where that may matter."""
    lab = Lab(live, live.tenant(balance, name="Going"))
    inside = contents(lab)
    admin, clerk = people(live, "admin", "clerk")
    lab.join(admin, role="admin")
    lab.join(clerk, role_id=inside["role"])
    parts = f"/projects/{inside['project']}/members"
    for subject in ({"user_id": admin.id}, {"team_id": inside["team"]}):
        assert lab.call(lab.owner, "POST", parts, json={"role": "member", **subject}).status_code == 201
    lab.invite(
        role_id=inside["role"],
        team_id=inside["team"],
        project_id=inside["project"],
        project_role="viewer",
    )
    for scope, scope_id in (("user", inside["user"]), ("project", inside["project"])):
        body = {"scope": scope, "scope_id": scope_id, "period": "month", "limit": "5"}
        assert lab.call(lab.owner, "POST", "/budgets", json=body).status_code == 201
    if balance != "0":
        body = {"model": "fake-echo", "messages": [{"role": "user", "content": "hello"}]}
        headers = {"idempotency-key": "once"}
        call = live.call("/v1/chat/completions", lab.tenant.api_key, "POST", json=body, headers=headers)
        assert call.status_code == 200, call.text
        live.balance(lab.tenant.organization_id, lab.owner)
    return lab


def test_a_deletion_is_looked_at_and_done_by_who_may(live: Live) -> None:
    lab = furnished(live, "0")
    [stranger] = people(live, "stranger")
    [admin] = lab.staff("admin")
    for method, path in (("GET", "/deletion"), ("DELETE", "")):
        assert (
            lab.live.http.request(
                method, f"/api/organizations/{lab.tenant.organization_id}{path}"
            ).status_code
            == 401
        )
        assert verdict(lab.call(stranger.token, method, path)) == (404, "not_found")
        assert verdict(lab.call(admin.token, method, path)) == (403, "permission_denied")
    found = lab.call(lab.owner, "GET", "/deletion").json()
    assert found["obstacles"] == []
    assert found["goes"] == {
        "members": 5,
        "teams": 1,
        "roles": 1,
        "projects": 2,
        "project_members": 3,
        "api_keys": 2,
        "invitations": 2,
        "budgets": 3,
        "rate_limits": 1,
        "policies": 1,
    }
    assert lab.call(lab.owner, "GET", "/deletion").json() == found  # looking changes nothing
    assert lab.call(lab.owner, "DELETE").status_code == 204
    assert verdict(lab.call(lab.owner, "GET")) == (404, "not_found")


def test_money_that_is_left_is_given_up_knowingly_or_the_deletion_is_refused(live: Live) -> None:
    lab = furnished(live)
    left = live.balance(lab.tenant.organization_id, lab.owner)
    found = lab.call(lab.owner, "GET", "/deletion").json()
    assert [entry["code"] for entry in found["obstacles"]] == ["balance_left"]
    assert str(left) in found["obstacles"][0]["detail"]
    assert found["stays"] == {"transactions": 2, "usage_records": 1}
    assert verdict(lab.call(lab.owner, "DELETE")) == (409, "balance_left")
    assert live.balance(lab.tenant.organization_id, lab.owner) == left
    assert lab.call(lab.owner, "DELETE", params={"forfeit_balance": "true"}).status_code == 204
    with psycopg.connect(live.database_url) as connection:
        [(balance, frozen, state)] = rows(
            connection,
            "SELECT balance_nano, frozen_nano, state FROM wallets WHERE org_id = %s",
            lab.tenant.organization_id,
        )
        assert (balance, frozen, state) == (0, 0, "frozen")
        kinds = rows(
            connection,
            "SELECT type FROM transactions WHERE org_id = %s ORDER BY id",
            lab.tenant.organization_id,
        )
    assert [kind for (kind,) in kinds] == ["topup", "capture", "adjust"]


def test_a_deletion_waits_for_the_calls_under_way(live: Live) -> None:
    lab = furnished(live)
    text = "word " * 40  # two seconds of answer
    body: dict[str, Any] = {"model": "fake-slow", "messages": [{"role": "user", "content": text}]}
    answers: list[int] = []

    def call() -> None:
        response = live.http.post("/v1/chat/completions", headers=as_(lab.tenant.api_key), json=body)
        answers.append(response.status_code)

    thread = threading.Thread(target=call)
    thread.start()
    for _ in range(200):
        if live.wallet(lab.tenant.organization_id, lab.owner)["frozen"] != "0":
            break
        time.sleep(0.01)
    response = lab.call(lab.owner, "DELETE", params={"forfeit_balance": "true"})
    codes = [entry["code"] for entry in lab.call(lab.owner, "GET", "/deletion").json()["obstacles"]]
    thread.join()
    assert verdict(response) == (409, "holds_open")
    assert codes == ["holds_open", "balance_left"]
    assert answers == [200]


def test_nothing_of_a_deleted_organisation_works_and_its_books_stay_whole(live: Live) -> None:
    lab = furnished(live)
    [member] = lab.staff("member")
    trace = live.chat("fake-echo", "hello", lab.tenant.api_key).headers["x-trace-id"]
    live.trace(trace, lab.owner)
    waiting = lab.invite(role="member")
    org = lab.tenant.organization_id
    assert lab.call(lab.owner, "DELETE", params={"forfeit_balance": "true"}).status_code == 204
    assert live.chat("fake-echo", "hello", lab.tenant.api_key).status_code == 401
    for token in (lab.owner, member.token):
        assert live.call("/api/me", token).json()["organizations"] == []
        assert verdict(live.call(f"/api/organizations/{org}/wallet", token)) == (404, "not_found")
        assert live.call(f"/api/traces/{trace}", token).status_code == 404
        assert live.call("/v1/models", token).status_code == 404
    assert live.http.get(f"/api/invitations/{waiting['token']}").status_code == 404
    # Operators still read what happened.
    assert live.call(f"/api/traces/{trace}", live.operator_token()).status_code == 200
    with psycopg.connect(live.database_url) as connection:
        left = {
            table
            for table, column in columns(connection)
            if column == "org_id" and count(connection, table, org)
        }
        kept = {"projects", "api_keys", "wallets", "holds", "transactions", "usage_records", "audit_logs"}
        assert left == kept
        [(live_keys, open_projects)] = rows(
            connection,
            "SELECT (SELECT count(*) FROM api_keys WHERE org_id = %s AND revoked_at IS NULL),"
            " (SELECT count(*) FROM projects WHERE org_id = %s AND archived_at IS NULL)",
            org,
            org,
        )
        assert (live_keys, open_projects) == (0, 0)
        assert dangling(connection, org) == {}


def test_what_is_removed_leaves_no_row_that_points_nowhere(live: Live) -> None:
    lab = furnished(live)
    members = lab.call(lab.owner, "GET", "/members").json()["items"]
    for member in members:
        if member["role"] != "owner":
            assert lab.call(lab.owner, "DELETE", f"/members/{member['user_id']}").status_code == 200
    for project in lab.call(lab.owner, "GET", "/projects").json()["items"]:
        if not project["is_default"]:
            lab.call(lab.owner, "POST", f"/projects/{project['id']}/archive")
    [team] = lab.call(lab.owner, "GET", "/teams").json()["items"]
    assert lab.call(lab.owner, "DELETE", f"/teams/{team['id']}").status_code == 204
    with psycopg.connect(live.database_url) as connection:
        assert dangling(connection, lab.tenant.organization_id) == {}
        for table in ("team_members", "teams"):
            assert count(connection, table, lab.tenant.organization_id) == 0


def test_an_organisation_ends_with_the_account_of_its_only_member(live: Live) -> None:
    lab = Lab(live, live.tenant(name="Alone"))
    admin, heir = Lab(live, live.tenant("0")), people(live, "heir")[0]
    [member] = admin.staff("admin")
    waiting = admin.invite(member.token, role="guest")
    for token in (lab.owner, member.token):
        response = live.call("/api/me", token, "DELETE", json={"password": PASSWORD})
        assert response.status_code == 204, response.text
    assert live.chat("fake-echo", "hello", lab.tenant.api_key).status_code == 401
    # Nobody stands behind the invitation of somebody who is gone.
    response = live.call(f"/api/invitations/{waiting['token']}/accept", heir.token, "POST")
    assert verdict(response) == (410, "invitation_revoked")
    with psycopg.connect(live.database_url) as connection:
        [(deleted, balance)] = rows(
            connection,
            "SELECT deleted_at IS NOT NULL, balance_nano FROM orgs o JOIN wallets w ON w.org_id = o.id"
            " WHERE o.id = %s",
            lab.tenant.organization_id,
        )
        assert (deleted, balance) == (True, 0)
        # The books keep the ids of people who are gone, and nothing else does.
        assert set(dangling(connection, lab.tenant.organization_id)) <= {("transactions", "actor_id")}
        assert dangling(connection, admin.tenant.organization_id) == {}


def test_the_search_for_orphans_finds_one(live: Live) -> None:
    lab = Lab(live, live.tenant("0"))
    org = lab.tenant.organization_id
    with psycopg.connect(live.database_url) as connection:
        named = references(connection)
        assert ("team_members", "team_id", "teams") in named
        assert ("holds", "project_id", "projects") in named
        assert ("api_keys", "created_by", "users") in named
        assert ("org_members", "role_id", "roles") in named
        assert dangling(connection, org) == {}
        connection.execute(
            "INSERT INTO call_answers (hold_id, org_id, status, content_type, body)"
            " VALUES (gen_random_uuid(), %s, 200, '', '')",
            [org],
        )
        assert dangling(connection, org) == {("call_answers", "hold_id"): 1}
        connection.rollback()


def test_the_database_itself_keeps_an_owner(live: Live) -> None:
    lab = Lab(live, live.tenant("0"))
    lab.staff("member")
    for statement in (
        "DELETE FROM org_members WHERE org_id = %s AND role = 'owner'",
        "UPDATE org_members SET role = 'guest' WHERE org_id = %s AND role = 'owner'",
    ):
        with psycopg.connect(live.database_url) as connection:
            connection.execute(statement, [lab.tenant.organization_id])
            with pytest.raises(psycopg.errors.CheckViolation, match="without an owner"):
                connection.commit()


def count(connection: psycopg.Connection[Any], table: str, org_id: str) -> int:
    """Return how many rows of a tenant table an organisation has."""
    query = psycopg.sql.SQL("SELECT count(*) FROM {} WHERE org_id = {}")
    found = connection.execute(query.format(psycopg.sql.Identifier(table), org_id)).fetchone()
    assert found is not None
    return found[0]


def dangling(connection: psycopg.Connection[Any], org_id: str) -> dict[tuple[str, str], int]:
    """Return how many rows of an organisation, by table and column, point nowhere."""
    found = {
        (table, column): orphans(connection, table, column, named, org_id)
        for table, column, named in references(connection)
    }
    return {place: number for place, number in found.items() if number}
