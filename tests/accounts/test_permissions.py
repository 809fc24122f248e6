"""Who may do what: deny by default, more standing never means less."""

from __future__ import annotations

from itertools import pairwise
from uuid import uuid4

import pytest

from deepspace.accounts.guard import OperatorPermission, OrgPermission
from deepspace.accounts.permissions import (
    API_KEY_PERMISSIONS,
    OPERATOR_PERMISSIONS,
    PERMISSIONS,
    ROLE_PERMISSIONS,
)
from deepspace.accounts.principal import KeyGrant, Principal
from deepspace.kit.errors import NotFound, PermissionDenied

ORG, OTHER = uuid4(), uuid4()


def person(role: str, *, is_operator: bool = False) -> Principal:
    """Return a member of ORG."""
    return Principal("session", uuid4(), {ORG: role}, is_operator=is_operator)


def key(*, is_operator: bool = False) -> Principal:
    """Return an API key of ORG."""
    grant = KeyGrant(uuid4(), "key", ORG, uuid4(), None)
    return Principal("api_key", uuid4(), {ORG: "key"}, is_operator=is_operator, key=grant)


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
