"""Limits and budgets are set on what the organisation has: its own keys, members and projects."""

from __future__ import annotations

import uuid
from typing import Any

import httpx2
import pytest

from tests.support.live import Live
from tests.support.people import Lab, contents, verdict


@pytest.fixture(scope="module")
def lab(live: Live) -> Lab:
    """An organisation."""
    return Lab(live, live.tenant("0", name="Limited"))


@pytest.fixture(scope="module")
def foreign(live: Live) -> dict[str, str]:
    """The ids of another organisation's things."""
    return contents(Lab(live, live.tenant("0", name="Foreign")))


def set_limit(lab: Lab, kind: str, subject_id: str) -> httpx2.Response:
    """Set a rate limit."""
    body: dict[str, Any] = {"subject": kind, "subject_id": subject_id, "rpm": 5}
    return lab.call(lab.owner, "PUT", "/rate-limits", json=body)


def set_budget(lab: Lab, kind: str, subject_id: str) -> httpx2.Response:
    """Set a budget."""
    body = {"scope": kind, "scope_id": subject_id, "period": "day", "limit": "1"}
    return lab.call(lab.owner, "POST", "/budgets", json=body)


@pytest.mark.parametrize(("kind", "name"), [("api_key", "key"), ("user", "user"), ("project", "project")])
def test_the_subject_is_the_organisations_own(
    live: Live, lab: Lab, foreign: dict[str, str], kind: str, name: str
) -> None:
    own = contents(Lab(live, live.tenant("0", name="Owning")))  # another one: foreign here, too
    for setter in (set_limit, set_budget):
        details: set[str] = set()
        for wrong in (str(uuid.uuid4()), foreign[name], own[name]):
            answer = setter(lab, kind, wrong)
            assert verdict(answer) == (422, "validation_failed")
            details.add(answer.json()["detail"])
        assert len(details) == 1  # nothing tells a foreign id from one that nobody has
    mine = {"key": live.key(lab.tenant)[0], "user": lab.user_id(), "project": lab.tenant.project_id}
    assert set_limit(lab, kind, mine[name]).status_code == 200
    assert set_budget(lab, kind, mine[name]).status_code == 201


def test_operators_name_what_is_the_organisations_too(live: Live, lab: Lab, foreign: dict[str, str]) -> None:
    operator, path = live.operator_token(), "/api/admin/rate-limits"
    body = {"subject": "project", "subject_id": foreign["project"], "rpm": 1000}
    named = f"{path}?organization_id={lab.tenant.organization_id}"
    assert verdict(live.call(named, operator, "PUT", json=body)) == (422, "validation_failed")
    bound = live.call(path, operator, "PUT", json=body)  # what binds everybody may name anybody's
    assert bound.status_code == 200
    assert live.call(f"{path}/{bound.json()['id']}", operator, "DELETE").status_code == 204
