"""Administrative acts leave a row in the audit log, in the transaction of the act."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.support.live import Live
from tests.support.people import Lab, contents, people


@pytest.fixture
def database(live: Live) -> Iterator[psycopg.Connection]:
    """The database itself."""
    with psycopg.connect(live.database_url, autocommit=True) as connection:
        yield connection


def acts(database: psycopg.Connection, org_id: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Return (event, actor, detail) of an organisation's acts, oldest first."""
    query = "SELECT event, actor_id::text, detail FROM audit_logs WHERE org_id = %s ORDER BY id"
    return [row for row in database.execute(query, [org_id]).fetchall() if not row[0].startswith("call.")]


def test_every_act_is_remembered_with_who_did_it_and_to_what(
    live: Live, database: psycopg.Connection
) -> None:
    lab = Lab(live, live.tenant("0", name="Remembered"))
    org, owner = lab.tenant.organization_id, lab.user_id()
    inside = contents(lab)
    user, project, key = inside["user"], inside["project"], inside["key"]
    for method, path, body in (
        ("PATCH", "", {"name": "Renamed"}),
        ("PATCH", f"/members/{user}", {"role": "guest"}),
        ("PATCH", f"/roles/{inside['role']}", {"permissions": ["billing:read", "traces:read"]}),
        ("DELETE", f"/roles/{inside['role']}", None),
        ("POST", f"/invitations/{inside['invitation']}/resend", None),
        ("DELETE", f"/invitations/{inside['invitation']}", None),
        ("PUT", f"/api-keys/{key}", {"name": "other"}),
        ("POST", f"/api-keys/{key}/rotate", {"overlap_s": 0}),
        ("DELETE", f"/api-keys/{key}", None),
        ("PATCH", f"/projects/{project}", {"access": "members"}),
        ("PATCH", f"/projects/{project}/members/{inside['member']}", {"role": "member"}),
        ("DELETE", f"/projects/{project}/members/{inside['member']}", None),
        ("POST", f"/projects/{project}/archive", None),
        ("POST", f"/projects/{project}/unarchive", None),
        ("DELETE", f"/teams/{inside['team']}/members/{user}", None),
        ("DELETE", f"/teams/{inside['team']}", None),
        ("DELETE", f"/rate-limits/{inside['limit']}", None),
        ("PATCH", f"/policies/{inside['policy']}", {"mode": "dry_run"}),
        ("DELETE", f"/policies/{inside['policy']}", None),
        ("DELETE", f"/members/{user}", None),
    ):
        answer = lab.call(lab.owner, method, path, **({"json": body} if body is not None else {}))
        assert answer.status_code in {200, 204}, (path, answer.text)
    [heir] = lab.staff("member")
    given = lab.call(lab.owner, "POST", "/transfer-ownership", json={"user_id": heir.id})
    assert given.status_code == 204
    assert lab.call(lab.owner, "POST", "/leave").status_code == 200
    assert lab.call(heir.token, "DELETE").status_code == 204

    found = acts(database, org)
    done = [event for event, _, _ in found]
    since = done.index("organization.renamed")
    others = {"invitation.created", "invitation.accepted"}
    assert [event for event in done[since:] if event not in others] == [
        *("organization.renamed", "member.role_changed", "role.changed", "role.deleted"),
        *("invitation.resent", "invitation.revoked", "api_key.changed", "api_key.rotated", "api_key.revoked"),
        *("project.changed", "project.role_changed", "project.member_removed"),
        *("project.archived", "project.unarchived", "team.member_removed", "team.deleted"),
        *("rate_limit.removed", "policy.changed", "policy.removed", "member.removed"),
        *("organization.transferred", "member.left", "organization.deleted"),
    ]
    others |= {"team.created", "project.created", "team.member_added", "project.member_added"}
    assert set(done[:since]) == others | {
        "rate_limit.set",
        "policy.created",
        "role.created",
        "api_key.created",
    }
    detail = {event: (actor, what) for event, actor, what in found}
    changed = {"user_id": user, "before": "member", "role": "guest", "revoked_api_keys": 0}
    assert detail["member.role_changed"] == (owner, changed)
    assert detail["invitation.accepted"][0] == heir.id
    assert detail["organization.deleted"][0] == heir.id
    assert detail["rate_limit.set"][1]["rpm"] == 1000


def test_an_act_that_fails_is_not_remembered_and_one_that_is_says_no_secret(
    live: Live, database: psycopg.Connection
) -> None:
    lab = Lab(live, live.tenant("0", name="Silent"))
    org = lab.tenant.organization_id
    before = len(acts(database, org))
    assert lab.call(lab.owner, "POST", "/leave").status_code == 409
    assert lab.call(lab.owner, "POST", "/roles", json={"name": "x", "permissions": ["no"]}).status_code == 422
    assert len(acts(database, org)) == before
    key_id, secret = live.key(lab.tenant)
    [somebody] = people(live, "somebody")
    invitation = lab.invite(role="guest", email=somebody.email)
    told = str(acts(database, org))
    assert key_id in told
    assert invitation["id"] in told
    for canary in (secret, secret.split("_")[-1], invitation["token"], somebody.email):
        assert canary not in told
        assert canary not in live.log.read_text()


def test_acts_have_no_place_on_the_trace_page(live: Live) -> None:
    lab = Lab(live, live.tenant("1", name="Traced"))
    trace_id = "3bf92f3577b34da6a3ce929d0e0e4799"
    headers = {"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}
    body: dict[str, Any] = {"name": "Team"}
    assert lab.call(lab.owner, "POST", "/teams", json=body, headers=headers).status_code == 201
    assert live.call(f"/api/traces/{trace_id}", lab.owner).status_code == 404
    body = {"model": "fake-echo", "messages": [{"role": "user", "content": "hi"}]}
    made = live.call("/v1/chat/completions", lab.tenant.api_key, "POST", json=body, headers=headers)
    assert made.status_code == 200
    story = live.trace(trace_id, lab.owner)
    assert [call["state"] for call in story["calls"]] == ["captured"]
