"""What a key may do its maker may do: nobody reaches by a key what they do not reach themselves."""

from __future__ import annotations

import uuid
from typing import Any

import httpx2

from deepspace.accounts.permissions import ROLE_PERMISSIONS
from tests.support.live import Live, as_
from tests.support.people import Lab, Person, people, verdict
from tests.support.streams import eventually

MEMBER = sorted(ROLE_PERMISSIONS["member"])


def a_lab(live: Live) -> Lab:
    """Return an organisation with some money."""
    return Lab(live, live.tenant("1", name="Keys"))


def clerk(lab: Lab, *permissions: str) -> Person:
    """Return somebody who may make keys, and what else is said."""
    [person] = people(lab.live, "clerk")
    role = lab.role(f"Clerk {uuid.uuid4().hex[:6]}", "api_keys:read", "api_keys:write", *permissions)
    return lab.join(person, role_id=role)


def make(lab: Lab, token: str, project_id: str | None = None, **fields: Any) -> httpx2.Response:
    """Ask for a key."""
    body = {"name": "key", "project_id": project_id or lab.tenant.project_id, **fields}
    return lab.call(token, "POST", "/api-keys", json=body)


def refused(live: Live, key: str) -> bool:
    """Whether a key is revoked."""
    answer = live.chat("fake-echo", "hi", key)
    return answer.status_code == 401 and "revoked" in answer.json()["error"]["message"]


def test_who_may_make_keys_but_not_spend_makes_none_and_takes_over_none(live: Live) -> None:
    lab = a_lab(live)
    clerical = clerk(lab).token
    [key] = lab.call(lab.owner, "GET", "/api-keys").json()["items"]
    one = f"/api-keys/{key['id']}"
    assert verdict(make(lab, clerical)) == (403, "permission_denied")
    assert verdict(lab.call(clerical, "POST", f"{one}/rotate", json={})) == (403, "permission_denied")
    assert verdict(lab.call(clerical, "PUT", one, json={"name": "mine"})) == (403, "permission_denied")
    assert live.chat("fake-echo", "hi", lab.tenant.api_key).status_code == 200
    assert lab.call(clerical, "DELETE", one).status_code == 204  # to take away gives nothing


def test_a_key_reaches_no_closed_project_that_its_maker_does_not(live: Live) -> None:
    lab = a_lab(live)
    person = clerk(lab, *MEMBER)
    closed = lab.project("Closed", "members")
    nowhere = make(lab, person.token, str(uuid.uuid4()))
    hidden = make(lab, person.token, closed)
    assert verdict(hidden) == verdict(nowhere) == (422, "validation_failed")
    assert hidden.json()["detail"] == nowhere.json()["detail"]
    beside = make(lab, person.token, project_ids=[closed])
    assert verdict(beside) == (422, "validation_failed")
    of_the_owner = make(lab, lab.owner, closed).json()
    taken = lab.call(person.token, "POST", f"/api-keys/{of_the_owner['id']}/rotate", json={})
    assert taken.status_code in {403, 422}
    part = {"user_id": person.id, "role": "viewer"}
    assert lab.call(lab.owner, "POST", f"/projects/{closed}/members", json=part).status_code == 201
    assert verdict(make(lab, person.token, closed)) == (403, "permission_denied")
    [member] = [
        row
        for row in lab.call(lab.owner, "GET", f"/projects/{closed}/members").json()["items"]
        if row["user_id"] == person.id
    ]
    path = f"/projects/{closed}/members/{member['id']}"
    assert lab.call(lab.owner, "PATCH", path, json={"role": "member"}).status_code == 200
    assert make(lab, person.token, closed).status_code == 201


def test_who_becomes_a_guest_loses_the_keys_they_made_and_who_becomes_a_member_keeps_them(
    live: Live,
) -> None:
    lab = a_lab(live)
    for role, lost in (("member", False), ("guest", True)):
        [admin] = lab.staff("admin")
        key = make(lab, admin.token).json()["secret"]
        assert live.chat("fake-echo", "hi", key).status_code == 200
        changed = lab.call(lab.owner, "PATCH", f"/members/{admin.id}", json={"role": role})
        assert changed.status_code == 200
        if lost:
            eventually(lambda key=key: refused(live, key))
        else:
            assert live.chat("fake-echo", "hi", key).status_code == 200


def test_who_loses_by_a_change_of_their_role_what_keys_give_loses_the_keys_they_made(live: Live) -> None:
    lab = a_lab(live)
    person = clerk(lab, *MEMBER)
    key = make(lab, person.token).json()["secret"]
    assert live.chat("fake-echo", "hi", key).status_code == 200
    [row] = [
        one for one in lab.call(lab.owner, "GET", "/members").json()["items"] if one["user_id"] == person.id
    ]
    words = ["api_keys:write", *(word for word in MEMBER if word != "chat:use")]
    path = f"/roles/{row['role_id']}"
    assert lab.call(lab.owner, "PATCH", path, json={"permissions": words}).status_code == 200
    eventually(lambda: refused(live, key))
    assert live.chat("fake-echo", "hi", lab.tenant.api_key).status_code == 200  # the owner's stays


def test_who_was_removed_makes_no_key_with_a_session_that_has_not_heard_of_it(live: Live) -> None:
    """The permission is asked again under the organisation's lock, so a request cannot slip in between."""
    lab = a_lab(live)
    [admin] = lab.staff("admin")
    with httpx2.Client(base_url=live.url, timeout=10, trust_env=False) as second:
        path = f"/api/organizations/{lab.tenant.organization_id}/api-keys"
        body = {"name": "late", "project_id": lab.tenant.project_id}
        assert lab.call(lab.owner, "DELETE", f"/members/{admin.id}").status_code == 200
        assert second.post(path, json=body, headers=as_(admin.token)).status_code == 404
    names = [row["name"] for row in lab.call(lab.owner, "GET", "/api-keys").json()["items"]]
    assert "late" not in names
