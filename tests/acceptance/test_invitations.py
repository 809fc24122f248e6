"""Invitations: by link or mail, once, until they expire, as long as their maker may give them."""

from __future__ import annotations

import email
import re
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from email import policy
from typing import Any

import psycopg
import pytest

from tests.support.live import Live
from tests.support.people import Lab, Person, people, verdict


@pytest.fixture(scope="module")
def lab(live: Live) -> Lab:
    """An organisation to be invited to."""
    return Lab(live, live.tenant("0", name="Inviters"))


def accept(lab: Lab, token: str, person: Person) -> Any:
    """Accept an invitation."""
    return lab.live.call(f"/api/invitations/{token}/accept", person.token, "POST")


def mail_to(live: Live, address: str) -> str:
    """Return the text of the newest mail to an address."""
    outbox = live.log.parent / "data" / "outbox"
    for _ in range(100):
        for path in sorted(outbox.glob("*.eml"), reverse=True) if outbox.exists() else ():
            message = email.message_from_bytes(path.read_bytes(), policy=policy.default)
            if address in str(message["To"]):
                return message.get_content()
        time.sleep(0.05)
    raise AssertionError(f"no mail to {address}")


def test_an_invitation_is_made_by_who_may_invite(lab: Lab) -> None:
    stranger, guest = people(lab.live, "stranger", "guest")
    lab.join(guest, role="member")
    path = f"/api/organizations/{lab.tenant.organization_id}/invitations"
    assert verdict(lab.live.http.post(path, json={"role": "guest"})) == (401, "unauthorized")
    for person, expected in ((stranger, (404, "not_found")), (guest, (403, "permission_denied"))):
        assert verdict(lab.call(person.token, "POST", "/invitations", json={"role": "guest"})) == expected
        assert verdict(lab.call(person.token, "GET", "/invitations")) == expected
    for body in (
        {},
        {"role": "owner"},
        {"role": "guest", "expires_in_days": 31},
        {"role": "guest", "expires_in_days": 0},
        {"role": "guest", "email": "a@example.org, b@example.org"},
        {"role": "guest", "role_id": str(uuid.uuid4())},
        {"role_id": str(uuid.uuid4())},
        {"role": "guest", "team_id": str(uuid.uuid4())},
        {"role": "guest", "project_id": str(uuid.uuid4()), "project_role": "viewer"},
        {"role": "guest", "project_id": lab.tenant.project_id},
        {"role": "guest", "project_role": "viewer"},
    ):
        refused = lab.call(lab.owner, "POST", "/invitations", json=body)
        assert verdict(refused) == (422, "validation_failed"), body


def test_a_link_brings_one_person_in_with_team_and_project(lab: Lab) -> None:
    [ada, bob] = people(lab.live, "ada", "bob")
    team = lab.team(f"Team {uuid.uuid4().hex}")
    project = lab.project(access="members")
    made = lab.invite(role="guest", team_id=team, project_id=project, project_role="member")
    assert made["url"].endswith(f"/invitation#token={made['token']}")
    assert made["state"] == "open"
    preview = lab.live.http.get(f"/api/invitations/{made['token']}").json()
    assert (preview["organization_name"], preview["role"], preview["for_email"]) == (
        "Inviters",
        "guest",
        False,
    )
    assert preview["inviter"] == "Owner"
    assert verdict(lab.live.http.post(f"/api/invitations/{made['token']}/accept"))[0] == 401
    keyed = lab.live.call(f"/api/invitations/{made['token']}/accept", lab.tenant.api_key, "POST")
    assert verdict(keyed) == (403, "permission_denied")
    owner = lab.live.call(f"/api/invitations/{made['token']}/accept", lab.owner, "POST")
    assert verdict(owner) == (409, "already_member")
    assert accept(lab, made["token"], ada).json() == {"organization_id": lab.tenant.organization_id}
    [org] = lab.live.call("/api/me", ada.token).json()["organizations"]
    assert (org["id"], org["role"]) == (lab.tenant.organization_id, "guest")
    assert [(item["id"], item["role"]) for item in org["projects"]] == [(project, "member")]
    teams = lab.call(ada.token, "GET", f"/teams/{team}/members").json()["items"]
    assert [item["user_id"] for item in teams] == [ada.id]
    for response in (
        accept(lab, made["token"], bob),
        lab.live.http.get(f"/api/invitations/{made['token']}"),
        lab.call(lab.owner, "POST", f"/invitations/{made['id']}/resend"),
        lab.call(lab.owner, "DELETE", f"/invitations/{made['id']}"),
    ):
        assert verdict(response) == (410, "invitation_used")
    [listed] = [
        item
        for item in lab.call(lab.owner, "GET", "/invitations").json()["items"]
        if item["id"] == made["id"]
    ]
    assert (listed["state"], listed["accepted_by"]) == ("accepted", ada.id)
    assert "token" not in listed


def test_an_unknown_token_is_not_found(lab: Lab) -> None:
    [ada] = people(lab.live, "ada")
    for token in ("nonsense", "x" * 43, "%00", "' OR 1=1 --"):
        assert verdict(lab.live.http.get(f"/api/invitations/{token}"))[0] == 404
        assert verdict(accept(lab, token, ada))[0] == 404


def test_an_invitation_by_mail_is_for_its_address_whatever_the_case(lab: Lab) -> None:
    [ada, bob] = people(lab.live, "ada", "bob")
    made = lab.invite(role="member", email=ada.email.upper())
    text = mail_to(lab.live, ada.email.upper())
    assert re.findall(r"#token=(\S+)", text) == [made["token"]] * 2
    assert "Inviters" in text
    assert lab.live.http.get(f"/api/invitations/{made['token']}").json()["for_email"] is True
    assert verdict(accept(lab, made["token"], bob)) == (403, "invitation_not_yours")
    again = lab.call(lab.owner, "POST", f"/invitations/{made['id']}/resend").json()
    assert again["token"] != made["token"]
    assert verdict(accept(lab, made["token"], ada)) == (404, "not_found")
    assert accept(lab, again["token"], ada).status_code == 200


def test_a_revoked_and_an_expired_invitation_let_nobody_in(lab: Lab) -> None:
    [ada, member] = people(lab.live, "ada", "member")
    lab.join(member, role="member")
    revoked, expired = lab.invite(role="guest"), lab.invite(role="guest", expires_in_days=1)
    path = f"/invitations/{revoked['id']}"
    assert verdict(lab.call(member.token, "DELETE", path)) == (403, "permission_denied")
    for _ in range(2):
        assert lab.call(lab.owner, "DELETE", path).status_code == 204
    assert verdict(lab.call(lab.owner, "DELETE", f"/invitations/{uuid.uuid4()}")) == (404, "not_found")
    with psycopg.connect(lab.live.database_url) as connection:
        connection.execute(
            "UPDATE invitations SET created_at = created_at - interval '2 days',"
            " expires_at = expires_at - interval '2 days' WHERE id = %s",
            [expired["id"]],
        )
    for made, code in ((revoked, "invitation_revoked"), (expired, "invitation_expired")):
        assert verdict(accept(lab, made["token"], ada)) == (410, code)
        assert verdict(lab.live.http.get(f"/api/invitations/{made['token']}")) == (410, code)
    assert verdict(lab.call(lab.owner, "POST", f"{path}/resend")) == (410, "invitation_revoked")
    renewed = lab.call(lab.owner, "POST", f"/invitations/{expired['id']}/resend").json()
    assert accept(lab, renewed["token"], ada).status_code == 200


def test_an_invitation_gives_no_more_than_its_maker_may_give_when_it_is_accepted(lab: Lab) -> None:
    demoted, removed, ada = people(lab.live, "demoted", "removed", "ada")
    tokens: list[str] = []
    for person in (demoted, removed):
        lab.join(person, role="admin")
        tokens.append(lab.invite(person.token, role="admin")["token"])
    tokens.append(lab.invite(demoted.token, role="guest")["token"])
    lab.call(lab.owner, "PATCH", f"/members/{demoted.id}", json={"role": "member"})
    lab.call(lab.owner, "DELETE", f"/members/{removed.id}")
    for token in tokens:
        assert verdict(accept(lab, token, ada)) == (410, "invitation_revoked")
    assert verdict(accept(lab, tokens[1], removed)) == (410, "invitation_revoked")
    assert lab.live.call("/api/me", ada.token).json()["organizations"] == []


def test_of_twenty_racers_for_one_invitation_one_wins(live: Live) -> None:
    lab = Lab(live, live.tenant("0"))
    racers = people(live, *(f"racer{number}" for number in range(20)))
    token = lab.invite(role="guest")["token"]
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda person: accept(lab, token, person), racers))
    assert sorted(answer.status_code for answer in answers) == [200] + [410] * 19
    assert {answer.json()["code"] for answer in answers if answer.status_code == 410} == {"invitation_used"}
    assert len(lab.call(lab.owner, "GET", "/members").json()["items"]) == 2


def test_the_invitation_of_another_tenant_is_not_touched(lab: Lab) -> None:
    made = lab.invite(role="guest")
    other = Lab(lab.live, lab.live.tenant("0"))
    for method, path in (("DELETE", ""), ("POST", "/resend")):
        response = other.call(other.owner, method, f"/invitations/{made['id']}{path}")
        assert verdict(response) == (404, "not_found")
    assert lab.live.http.get(f"/api/invitations/{made['token']}").status_code == 200


def test_somebody_registers_with_an_invitation_and_is_a_member(lab: Lab) -> None:
    with psycopg.connect(lab.live.database_url) as connection:
        connection.execute("DELETE FROM knocks")  # other tests registered from this address too
    address = f"new-{uuid.uuid4().hex[:8]}@example.org"
    body = {"email": address, "name": "New", "password": "a long enough password"}
    closed = lab.live.http.post("/api/auth/register", json=body)
    assert verdict(closed) == (403, "registration_closed")
    made = lab.invite(role="member", email=address)
    body["invitation_token"] = made["token"]
    response = lab.live.http.post("/api/auth/register", json=body)
    assert response.status_code in {200, 201}, response.text
    lab.live.http.cookies.clear()
    token = lab.live.login(address, body["password"])
    [org] = lab.live.call("/api/me", token).json()["organizations"]
    assert (org["id"], org["role"]) == (lab.tenant.organization_id, "member")


def test_one_address_is_not_flooded_with_invitations_by_resending_or_revoking_them(
    live: Live, lab: Lab
) -> None:
    to = f"{uuid.uuid4().hex}@example.org"
    made = lab.invite(role="guest", email=to)["id"]
    answers = [lab.call(lab.owner, "POST", f"/invitations/{made}/resend") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200] * 4 + [429]
    assert int(answers[-1].headers["retry-after"]) > 30
    assert lab.call(lab.owner, "DELETE", f"/invitations/{made}").status_code == 204
    again = lab.call(lab.owner, "POST", "/invitations", json={"role": "guest", "email": to.upper()})
    assert verdict(again) == (429, "too_many_attempts")
    elsewhere = Lab(live, live.tenant("0", name="Other inviters"))
    other = elsewhere.call(elsewhere.owner, "POST", "/invitations", json={"role": "guest", "email": to})
    assert verdict(other) == (429, "too_many_attempts")
    assert lab.invite(role="guest")["url"]  # a link that is not mailed floods nobody
