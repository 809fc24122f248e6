"""Whatever fits the OpenAPI document, and what does not, is answered: never a 5xx, always code and trace id.

schemathesis makes the requests, with a session that may do everything and with none. A gateway and a database
of the module's own, since an operator's request may change the whole installation.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from deepspace.cli import administration
from deepspace.gateway.api import openapi_document
from deepspace.kit.embedded_postgres import EmbeddedPostgres
from deepspace.testing.fake_upstream import FakeUpstream
from tests.chaos.books import LONG, fresh_database
from tests.support.live import PASSWORD, Live, as_, in_process, start_live

EXAMPLES = 300 if LONG else 15
SCHEMA: Any = schemathesis.openapi.from_dict(openapi_document())
OPERATIONS: dict[str, Any] = {
    f"{operation.method.upper()} {operation.path}": operation
    for operation in (found.ok() for found in SCHEMA.get_all_operations())
}
ENDS_THE_SESSION = {
    "DELETE /api/me",
    "DELETE /api/me/sessions",
    "DELETE /api/me/sessions/{session}",
    "DELETE /api/organizations/{org}",
    "POST /api/organizations/{org}/leave",
}
"""After these the caller may be nobody: each gets an operator of its own."""


@dataclass(frozen=True)
class Operator:
    """Somebody who may do everything, in an organisation of their own."""

    token: str
    ids: dict[str, str]


@pytest.fixture(scope="module")
def house(
    postgres: EmbeddedPostgres, upstream: FakeUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    """An installation of the module's own."""
    with start_live(fresh_database(postgres, "fuzz"), upstream, tmp_path_factory.mktemp("fuzz")) as found:
        yield found


def operator(house: Live) -> Operator:
    """Make an operator with an organisation, and one of everything in it."""
    email = f"{uuid.uuid4().hex}@example.org"
    made = in_process(house, administration.create_user, email, "O", PASSWORD, "Fuzz", operator=True)
    in_process(house, administration.top_up, made["organization_id"], "1", "test")
    token = house.login(email, PASSWORD)
    org = f"/api/organizations/{made['organization_id']}"
    key = house.call(
        f"{org}/api-keys", token, "POST", json={"name": "k", "project_id": made["project_id"]}
    ).json()
    team = house.call(f"{org}/teams", token, "POST", json={"name": "t"}).json()
    called = house.chat("fake-echo", "hello", key["secret"])
    ids = {
        "org": made["organization_id"],
        "organization": made["organization_id"],
        "project": made["project_id"],
        "user": made["user_id"],
        "key": key["id"],
        "team": team["id"],
        "trace_id": called.headers["x-trace-id"],
        "billing_ref_id": called.headers["x-billing-ref-id"],
    }
    return Operator(token, ids)


@pytest.fixture(scope="module")
def somebody(house: Live) -> Operator:
    """An operator for every operation that leaves one standing."""
    return operator(house)


@pytest.fixture
def open_doors(house: Live) -> Iterator[None]:
    """Take back rules that would shut everybody out."""
    yield
    with psycopg.connect(house.database_url) as connection:
        connection.execute("DELETE FROM policy_rules")
        connection.execute("DELETE FROM rate_limits")


def check(response: Any, what: str) -> None:
    """Fail unless an answer is one of ours."""
    assert response.status_code < 500, f"{what}: {response.status_code} {response.text[:500]}"
    if response.status_code >= 400:
        body = response.json()
        said = body.get("error", body)  # the shape of the surface
        assert said["code"]
        trace_id = said.get("trace_id") or body["request_id"]
        assert [trace_id] == response.headers["x-trace-id"]


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_whatever_is_asked_is_answered_with_a_session_and_without(
    name: str, house: Live, somebody: Operator, open_doors: None
) -> None:
    who = operator(house) if name in ENDS_THE_SESSION else somebody

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],  # shrinking asks hundreds of times more
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    )
    @given(case=OPERATIONS[name].as_strategy(), real=st.booleans())
    def ask(case: Any, real: bool) -> None:
        if real:  # ids that exist lead further in
            given_ids: dict[str, Any] = case.path_parameters or {}
            case.path_parameters = {key: who.ids.get(key, value) for key, value in given_ids.items()}
        for headers in ({}, as_(who.token)):
            response = case.call(base_url=house.url, headers=headers, timeout=20)
            check(response, case.as_curl_command())

    ask()
