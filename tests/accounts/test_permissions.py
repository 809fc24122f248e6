"""Who may do what: deny by default, more standing never means less."""

from __future__ import annotations

from itertools import pairwise
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepspace.accounts.guard import OperatorPermission, OrgPermission
from deepspace.accounts.permissions import (
    API_KEY_PERMISSIONS,
    OPERATOR_PERMISSIONS,
    PERMISSIONS,
    PROJECT_ROLE_PERMISSIONS,
    ROLE_PERMISSIONS,
)
from deepspace.accounts.principal import (
    KeyGrant,
    Membership,
    Principal,
    ProjectPlace,
    key_membership,
    membership,
)
from deepspace.kit.errors import NotFound, PermissionDenied

ORG, OTHER = uuid4(), uuid4()


def person(role: str, *, is_operator: bool = False) -> Principal:
    """Return a member of ORG."""
    return Principal("session", uuid4(), {ORG: membership(role)}, is_operator=is_operator)


def key(*, is_operator: bool = False) -> Principal:
    """Return an API key of ORG."""
    grant = KeyGrant(uuid4(), "key", ORG, uuid4())
    place = key_membership([grant.project_id])
    return Principal("api_key", uuid4(), {ORG: place}, is_operator=is_operator, key=grant)


def test_every_step_up_holds_what_the_step_below_holds() -> None:
    steps = ["guest", "member", "admin", "owner"]
    assert set(ROLE_PERMISSIONS) == set(steps)
    for lower, higher in pairwise(steps):
        assert ROLE_PERMISSIONS[lower] <= ROLE_PERMISSIONS[higher]
    assert ROLE_PERMISSIONS["owner"] == set(PERMISSIONS)


def test_an_api_key_holds_no_more_than_a_member_and_makes_no_keys() -> None:
    assert ROLE_PERMISSIONS["member"] >= API_KEY_PERMISSIONS
    assert not {name for name in API_KEY_PERMISSIONS if name.startswith("api_keys:")}


def test_no_role_holds_a_permission_of_operators() -> None:
    for held in (*ROLE_PERMISSIONS.values(), API_KEY_PERMISSIONS):
        assert not held & set(OPERATOR_PERMISSIONS)


def test_every_permission_has_a_name_of_two_parts_and_a_sentence() -> None:
    for name, meaning in {**PERMISSIONS, **OPERATOR_PERMISSIONS}.items():
        noun, verb = name.split(":")
        assert noun
        assert verb
        assert meaning.strip()


@pytest.mark.parametrize("role", ["guest", "member", "admin", "owner", "unknown", ""])
def test_a_demand_is_met_exactly_by_those_who_hold_it(role: str) -> None:
    held = ROLE_PERMISSIONS.get(role, frozenset())
    for permission in PERMISSIONS:
        if permission in held:
            person(role).demand(ORG, permission)
        else:
            with pytest.raises(PermissionDenied):
                person(role).demand(ORG, permission)
        with pytest.raises(NotFound):  # a stranger does not learn that the organisation exists
            person(role).demand(OTHER, permission)
        assert person(role).permissions_in(OTHER) == frozenset()


def test_an_operator_operates_in_a_session_and_never_by_key() -> None:
    for permission in OPERATOR_PERMISSIONS:
        person("guest", is_operator=True).demand_operator(permission)
        for caller in (person("owner"), key(), key(is_operator=True)):
            with pytest.raises(PermissionDenied):
                caller.demand_operator(permission)
    # Operating the platform opens no organisation.
    with pytest.raises(NotFound):
        person("guest", is_operator=True).demand(OTHER, "billing:read")


def test_a_permission_that_does_not_exist_is_found_out_at_start_and_not_at_the_first_request() -> None:
    with pytest.raises(ValueError, match="unknown permission"):
        OrgPermission("billing:raed")
    with pytest.raises(ValueError, match="unknown operator permission"):
        OperatorPermission("billing:read")
    with pytest.raises(ValueError, match="unknown operator permission"):
        person("owner").may_operate("everything")


PROJECTS = [ProjectPlace(uuid4(), is_open) for is_open in (True, False, True, False)]
ROLES = st.sampled_from([*ROLE_PERMISSIONS, "unknown"])
CUSTOM = st.none() | st.frozensets(st.sampled_from([*PERMISSIONS, "billing:burn"]))
GIVEN = st.dictionaries(
    st.sampled_from([place.id for place in PROJECTS]),
    st.frozensets(st.sampled_from([*PROJECT_ROLE_PERMISSIONS, "unknown"])),
)


def rights(place: Membership) -> set[tuple[UUID, str]]:
    """Return everything a place allows: in the organisation, and in each project."""
    everywhere = {(ORG, name) for name in place.permissions}
    return everywhere | {
        (project.id, name) for project in PROJECTS for name in PERMISSIONS if place.may(project, name)
    }


@given(ROLES, CUSTOM, GIVEN, st.data())
def test_taking_a_role_or_a_permission_away_never_adds_a_right(
    role: str, custom: frozenset[str] | None, projects: dict[object, frozenset[str]], data: st.DataObject
) -> None:
    before = rights(membership(role, custom, projects))  # pyright: ignore[reportArgumentType]
    fewer = dict(projects)
    if fewer:
        victim = data.draw(st.sampled_from(sorted(fewer, key=str)))
        kept = data.draw(st.frozensets(st.sampled_from([*fewer[victim], "unknown"])))
        fewer[victim] = kept & projects[victim]
        if not fewer[victim] and data.draw(st.booleans()):
            del fewer[victim]
    less = custom & data.draw(st.frozensets(st.sampled_from(list(PERMISSIONS)))) if custom else custom
    after = rights(membership(role, less, fewer))  # pyright: ignore[reportArgumentType]
    assert after <= before


@given(ROLES, CUSTOM, GIVEN)
def test_nobody_does_anything_in_a_project_they_cannot_see_and_guests_see_only_what_they_are_given(
    role: str, custom: frozenset[str] | None, projects: dict[object, frozenset[str]]
) -> None:
    place = membership(role, custom, projects)  # pyright: ignore[reportArgumentType]
    for project in PROJECTS:
        names = {name for name in PERMISSIONS if place.may(project, name)}
        if project.id not in projects and not (place.permissions & {"projects:read", "projects:read_all"}):
            assert not names
        if (
            not project.is_open
            and project.id not in projects
            and "projects:read_all" not in place.permissions
        ):
            assert not names
    if role == "guest" and custom is None:
        spends = {project.id for project in PROJECTS if place.may(project, "chat:use")}
        assert spends == {key for key, held in projects.items() if held & {"manager", "member"}}


def test_a_word_that_left_the_vocabulary_gives_no_right_and_a_custom_role_no_more_than_its_words() -> None:
    assert membership("custom", frozenset({"billing:burn", "chat:use"})).permissions == {"chat:use"}
    assert membership("custom").permissions == frozenset()


def test_a_viewer_of_a_closed_project_views_whatever_the_organisation_lets_them_do_elsewhere() -> None:
    project = ProjectPlace(uuid4(), False)
    place = membership("member", None, {project.id: frozenset({"viewer"})})
    assert place.may(project, "projects:read")
    assert not place.may(project, "chat:use")


def test_an_api_key_works_in_its_own_project_even_if_that_is_closed_and_in_no_other_closed_one() -> None:
    own, other = ProjectPlace(uuid4(), False), ProjectPlace(uuid4(), False)
    place = key_membership([own.id])
    assert place.may(own, "chat:use")
    assert not place.may(other, "chat:use")
