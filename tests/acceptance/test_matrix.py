"""Route × role: every operation of the OpenAPI document, every kind of caller, the expected answer.

matrix.toml says in one line an operation who may. What is expected is reckoned from that and from the roles
written there, not from the code's own tables. Without a line an operation fails, and a line without an
operation does.
"""

from __future__ import annotations

import re
import tomllib
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from deepspace.gateway.api import openapi_document
from tests.support.live import Live
from tests.support.people import Lab, people

TABLE = tomllib.loads(Path(__file__).with_name("matrix.toml").read_text())
ROUTES: dict[str, str] = TABLE["routes"]
BODIES: dict[str, dict[str, Any]] = TABLE["bodies"]
ROLES: dict[str, frozenset[str]] = {name: frozenset(words.split()) for name, words in TABLE["roles"].items()}
CALLERS = ("anonymous", "guest", "member", "admin", "owner", "stranger", "operator", "key")
LEAVES = "POST /api/organizations/{org}/leave"
CALL = {
    "model": "there-is-no-such-model",
    "max_tokens": 16,
    "messages": [{"role": "user", "content": "hello"}],
    "prompt": "hello",
    "input": "hello",
    "query": "hello",
    "documents": ["hello"],
}
"""What is asked at each address of /v1 that takes JSON: what is not for it passes through."""

FORMS = ("/v1/images/edits", "/v1/audio/transcriptions", "/v1/audio/translations")

Expected = tuple[int, str] | None
"""Status and code of a refusal; None for a caller who may: whatever comes then, it is no refusal."""


@dataclass
class Cast:
    """Everybody who asks, and the organisation they ask about."""

    lab: Lab
    credentials: dict[str, str | None]


def cast_of(live: Live) -> Cast:
    """Return an organisation with one of each, and those who do not belong to it."""
    lab = Lab(live, live.tenant("1", name="Matrix"))
    guest, member, admin = lab.staff("guest", "member", "admin")
    [operator] = people(live, "operator", operator=True)
    stranger = live.tenant("0", name="Elsewhere")
    tokens = {"guest": guest.token, "member": member.token, "admin": admin.token, "owner": lab.owner}
    others = {"stranger": stranger.token, "operator": operator.token, "key": lab.tenant.api_key}
    return Cast(lab, {"anonymous": None, **tokens, **others})


@pytest.fixture(scope="module")
def cast(live: Live) -> Cast:
    """The callers of this module."""
    return cast_of(live)


def operations() -> set[str]:
    """Return every operation of the OpenAPI document."""
    paths = openapi_document()["paths"]
    return {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}


def expected(rule: str, caller: str) -> Expected:
    """Return what the table says of a caller."""
    unauthorized, denied, missing = (401, "unauthorized"), (403, "permission_denied"), (404, "not_found")
    if rule == "public":
        return None
    if caller == "anonymous":
        return unauthorized
    kind, _, word = rule.rpartition(" ")
    if kind == "own" or rule == "signed-in":
        has_project = caller not in {"guest", "operator"}  # the one sees no project, the other is in none
        return None if rule == "signed-in" or has_project else missing
    if "session" in {kind, rule} and caller == "key":
        return denied
    if rule == "session":
        return None
    if rule == "operator":
        return None if caller == "operator" else denied
    if caller in {"stranger", "operator"}:
        return missing
    if kind == "project" and "projects:read" not in ROLES[caller]:
        return missing
    return None if word in ROLES[caller] else denied


def code_of(response: httpx2.Response) -> str | None:
    """Return the code of an error in either shape, or None."""
    try:
        body = response.json()
    except ValueError:
        return None
    if not isinstance(body, dict):
        return None
    error = body.get("error")
    return error.get("code") if isinstance(error, dict) else body.get("code")


def ask(cast: Cast, operation: str, caller: str) -> httpx2.Response:
    """Make a request: with the organisation's and its project's id, and ids of nothing elsewhere."""
    method, path = operation.split(" ")
    tenant = cast.lab.tenant
    known = {"org": tenant.organization_id, "project": tenant.project_id}
    filled = re.sub(r"\{(\w+)\}", lambda match: known.get(match[1], str(uuid.uuid4())), path)
    body = CALL if path.startswith("/v1/") else BODIES.get(operation, {}) if caller == "key" else {}
    sent: dict[str, Any] = {"json": body}
    if path == "/v1/responses":  # knows other fields of that name
        sent = {"json": {name: body[name] for name in ("model", "input")}}
    elif path in FORMS:
        fields = {"model": CALL["model"], "prompt": "hello"}
        sent = {"data": fields, "files": {"file": ("a", b"hello")}}
    credential = cast.credentials[caller]
    if credential is None:
        return cast.lab.live.http.request(method, filled, follow_redirects=False, **sent)
    return cast.lab.live.call(filled, credential, method, follow_redirects=False, **sent)


def fault(operation: str, caller: str, response: httpx2.Response) -> str | None:
    """Return what is wrong with an answer, or None."""
    wanted = expected(ROUTES[operation], caller)
    got = (response.status_code, code_of(response))
    if wanted is not None:
        return None if got == wanted else f"{caller}: {got}, expected {wanted}"
    refusals = {(401, "unauthorized"), (403, "permission_denied")}
    others = re.findall(r"\{(\w+)\}", operation)
    if not {*others} - {"org", "project"}:
        refusals.add((404, "not_found"))  # nothing here is absent but what one may not see
    if ROUTES[operation] == "public":
        refusals.discard((404, "not_found"))
    return f"{caller}: {got}, though they may" if got in refusals or got[0] >= 500 else None


def test_every_operation_has_its_line_and_every_line_its_operation() -> None:
    assert operations() - set(ROUTES) == set(), "say in tests/acceptance/matrix.toml who may"
    assert set(ROUTES) - operations() == set(), "strike these out of tests/acceptance/matrix.toml"
    assert set(BODIES) <= set(ROUTES)
    known = {"public", "signed-in", "session", "operator", "project", *ROLES["owner"]}
    assert {word for rule in ROUTES.values() if rule != "own project" for word in rule.split()} <= known


@pytest.mark.parametrize("operation", [name for name in ROUTES if name != LEAVES])
def test_each_caller_gets_what_the_table_says(cast: Cast, operation: str) -> None:
    found = [fault(operation, caller, ask(cast, operation, caller)) for caller in CALLERS]
    assert [one for one in found if one] == []


def test_each_caller_leaves_or_not_as_the_table_says(live: Live) -> None:
    cast = cast_of(live)  # of their own: who leaves is gone
    found = [fault(LEAVES, caller, ask(cast, LEAVES, caller)) for caller in CALLERS]
    assert [one for one in found if one] == []


def test_the_expectations_differ_by_caller_as_the_words_say() -> None:
    assert [expected("billing:write", caller) for caller in CALLERS] == [
        (401, "unauthorized"),
        (403, "permission_denied"),
        (403, "permission_denied"),
        None,
        None,
        (404, "not_found"),
        (404, "not_found"),
        (403, "permission_denied"),
    ]
    assert expected("organization:delete", "admin") == (403, "permission_denied")
    assert expected("project projects:write", "guest") == (404, "not_found")
    assert expected("project projects:write", "member") == (403, "permission_denied")
    assert expected("operator", "owner") == (403, "permission_denied")
    assert expected("session", "key") == (403, "permission_denied")
