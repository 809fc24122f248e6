"""Wrong input gets a clear error and changes nothing."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.support.live import Live, Tenant, as_

HELLO: list[dict[str, Any]] = [{"role": "user", "content": "hi"}]
GOOD: dict[str, Any] = {"model": "fake-echo", "messages": HELLO}


@pytest.fixture(autouse=True)
def nothing_changes(live: Live) -> Iterator[None]:
    """A refused call moves no money, freezes none and never reaches the provider."""
    before, asked = live.wallet(), len(live.upstream.received)
    yield
    assert live.wallet() == before
    assert len(live.upstream.received) == asked


def refused(response: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """Check an error of the AI surface and return it."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    error = response.json()["error"]
    assert set(error) == {"message", "type", "code", "param", "trace_id"}
    assert error["code"] == code
    assert error["trace_id"] == response.headers["x-trace-id"]
    assert error["message"].strip()
    return error


def post(live: Live, body: Any, credential: str | None = None, **headers: str) -> httpx2.Response:
    """Post a chat call; `credential` "" sends none."""
    sent = {**({} if credential == "" else as_(credential or live.api_key)), **headers}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return live.http.post("/v1/chat/completions", content=content, headers=sent)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"not json",
        b'{"model": "fake-echo", "messages": [}',
        b'{"model": NaN}',
        b"\xff\xfe",
        b'{"model":"fake-echo","messages":[{"role":"user","content":"\xc3\x28"}]}',
        b'{"model":"fake-echo","messages":[{"role":"user"}],"x":' + b"[" * 100_000,
    ],
)
def test_a_body_that_is_not_json_is_refused(live: Live, body: bytes) -> None:
    refused(post(live, body), 400, "invalid_json")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ([], None),
        ("text", None),
        (None, None),
        ({}, "model"),
        ({"messages": HELLO}, "model"),
        ({"model": "fake-echo"}, "messages"),
        ({"model": 7, "messages": HELLO}, "model"),
        ({"model": "", "messages": HELLO}, "model"),
        ({"model": "m" * 201, "messages": HELLO}, "model"),
        ({"model": "fake\x00echo", "messages": HELLO}, "model"),
        ({**GOOD, "messages": []}, "messages"),
        ({**GOOD, "messages": "hi"}, "messages"),
        ({**GOOD, "messages": ["hi"]}, "messages"),
        ({**GOOD, "messages": [{"content": "hi"}]}, "messages"),
        ({**GOOD, "max_tokens": -1}, "max_tokens"),
        ({**GOOD, "max_tokens": 0}, "max_tokens"),
        ({**GOOD, "max_tokens": "many"}, "max_tokens"),
        ({**GOOD, "max_tokens": 1.5}, "max_tokens"),
        ({**GOOD, "max_completion_tokens": -1}, "max_tokens"),
        ({**GOOD, "n": 0}, "n"),
        ({**GOOD, "n": -1}, "n"),
        ({**GOOD, "n": 129}, "n"),
        ({**GOOD, "n": "two"}, "n"),
        ({**GOOD, "stream": "yes"}, "stream"),
        ({**GOOD, "stream": 1}, "stream"),
        ({**GOOD, "stream": True, "stream_options": []}, "stream_options"),
    ],
)
def test_a_field_of_the_wrong_kind_is_named(live: Live, body: Any, param: str | None) -> None:
    error = refused(post(live, body), 400, "invalid_request")
    assert error["param"] == param
    assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("headers", "what"),
    [
        ({}, "nothing"),
        ({"authorization": ""}, "an empty header"),
        ({"authorization": "Bearer"}, "a scheme alone"),
        ({"authorization": "Basic dXNlcjpwYXNz"}, "another scheme"),
        ({"authorization": "Bearer sk-some-other-provider"}, "somebody else's key"),
        ({"authorization": "Bearer dsk_live_short"}, "half a key"),
        ({"authorization": "Bearer dsk_live_' OR 1=1 --"}, "SQL"),
        ({"authorization": "Bearer a.b.c"}, "a token that is none"),
        ({"authorization": b"Bearer \xff\xfe"}, "bytes"),
    ],
)
def test_without_a_valid_credential_nothing_happens(live: Live, headers: dict[str, Any], what: str) -> None:
    response = live.http.post("/v1/chat/completions", json=GOOD, headers=headers)
    error = refused(response, 401, "unauthorized")
    assert error["type"] == "authentication_error"
    assert response.headers["www-authenticate"] == "Bearer"
    assert live.http.get("/v1/models", headers=headers).status_code == 401, what


def test_a_key_with_one_wrong_character_says_that_its_checksum_does_not_fit(live: Live) -> None:
    for position in (10, 30, len(live.api_key) - 1):
        wrong = "A" if live.api_key[position] != "A" else "B"
        key = live.api_key[:position] + wrong + live.api_key[position + 1 :]
        error = refused(post(live, GOOD, key), 401, "unauthorized")
        assert "checksum" in error["message"]


def test_a_key_of_good_form_that_nobody_issued_is_unknown(live: Live) -> None:
    from deepspace.accounts.keys import make_key

    error = refused(post(live, GOOD, make_key().text), 401, "unauthorized")
    assert "not known" in error["message"]


def test_a_revoked_key_is_refused_at_once(live: Live) -> None:
    row_id, secret = live.key()
    assert live.call("/v1/models", secret).status_code == 200
    path = f"/api/organizations/{live.organization_id}/api-keys/{row_id}"
    assert live.call(path, live.operator_token(), "DELETE").status_code == 204
    error = refused(post(live, GOOD, secret), 401, "unauthorized")
    assert "revoked" in error["message"]
    assert live.call(f"/api/organizations/{live.organization_id}/wallet", secret).status_code == 401


def test_an_expired_key_is_refused_the_moment_it_expires(live: Live) -> None:
    ends = datetime.now(UTC) + timedelta(seconds=1)
    _, soon = live.key(expires_at=ends.isoformat())
    assert live.call("/v1/models", soon).status_code == 200
    time.sleep(max(0.0, (ends - datetime.now(UTC)).total_seconds()) + 0.01)
    # The key is still in the gateway's cache, which must not make it live longer.
    assert "expired" in refused(post(live, GOOD, soon), 401, "unauthorized")["message"]


def test_a_key_for_other_models_is_refused_and_does_not_see_this_one(live: Live) -> None:
    _, narrow = live.key(models=["fake-slow"])
    error = refused(post(live, GOOD, narrow), 403, "permission_denied")
    assert error["param"] == "model"
    listed = live.call("/v1/models", narrow).json()["data"]
    assert [model["id"] for model in listed] == ["fake-slow"]
    assert live.call("/v1/models/fake-echo", narrow).status_code == 404
    _, none = live.key(models=[])
    refused(post(live, GOOD, none), 403, "permission_denied")


@pytest.mark.parametrize(
    "model", ["no-such-model", "FAKE-ECHO", " fake-echo", "fake-echo'--", "../fake-echo"]
)
def test_an_unknown_model_is_not_found(live: Live, model: str) -> None:
    error = refused(post(live, {**GOOD, "model": model}), 404, "model_not_found")
    assert error["param"] == "model"


def test_a_model_without_a_price_is_refused_and_never_free(live: Live) -> None:
    refused(post(live, {**GOOD, "model": "fake-unpriced"}), 409, "price_missing")


@pytest.fixture(scope="module")
def broke(live: Live) -> Tenant:
    """An organisation with an empty wallet."""
    return live.tenant(balance="0")


def test_an_empty_wallet_pays_for_nothing(live: Live, broke: Tenant) -> None:
    for credential in (broke.api_key, broke.token):
        error = refused(post(live, GOOD, credential), 402, "insufficient_funds")
        assert error["type"] == "insufficient_quota"
    wallet = live.wallet(broke.organization_id, broke.api_key)
    assert (wallet["balance"], wallet["frozen"], wallet["available"]) == ("0", "0", "0")


@pytest.mark.parametrize("project", ["00000000-0000-7000-8000-000000000000", "nonsense", ""])
def test_a_key_is_good_for_its_own_project_only(live: Live, project: str) -> None:
    refused(post(live, GOOD, **{"x-deepspace-project": project}), 404, "not_found")


def test_the_project_of_another_tenant_is_not_found(live: Live) -> None:
    other = live.tenant()
    headers = {"x-deepspace-project": live.project_id}
    refused(post(live, GOOD, other.api_key, **headers), 404, "not_found")
    refused(post(live, GOOD, other.token, **headers), 404, "not_found")


LIMIT = 1024 * 1024


@pytest.mark.parametrize(
    ("path", "code_at"),
    [("/v1/chat/completions", ("error", "code")), ("/api/auth/login", ("code",))],
)
def test_a_body_declared_over_the_limit_is_refused_before_it_is_sent(
    live: Live, path: str, code_at: tuple[str, ...]
) -> None:
    host, port = live.url.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=5)
    connection.putrequest("POST", path)
    connection.putheader("authorization", f"Bearer {live.api_key}")
    connection.putheader("content-type", "application/json")
    connection.putheader("content-length", str(LIMIT + 1))
    connection.endheaders()
    response = connection.getresponse()  # answered although not one byte of the body was sent
    found = json.loads(response.read())
    assert response.status == 413
    for name in code_at:
        found = found[name]
    assert found == "body_too_large"
    assert len(response.headers["x-trace-id"]) == 32
    connection.close()


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/api/auth/login"])
def test_a_body_of_unknown_length_is_refused_as_soon_as_it_is_over_the_limit(live: Live, path: str) -> None:
    host, port = live.url.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=5)
    connection.putrequest("POST", path)
    connection.putheader("authorization", f"Bearer {live.api_key}")
    connection.putheader("content-type", "application/json")
    connection.putheader("transfer-encoding", "chunked")
    connection.endheaders()
    piece = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    for _ in range(LIMIT // 0x10000 + 1):
        connection.send(piece)
    response = connection.getresponse()  # the body never ended
    assert response.status == 413
    connection.close()


def test_a_body_of_exactly_the_limit_is_read(live: Live) -> None:
    padding = LIMIT - len(json.dumps({**GOOD, "model": "no-such-model", "pad": ""}))
    body = json.dumps({**GOOD, "model": "no-such-model", "pad": "x" * padding}).encode()
    assert len(body) == LIMIT
    refused(post(live, body), 404, "model_not_found")
    refused(post(live, body + b" "), 413, "body_too_large")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_a_wrong_method_says_which_is_right(live: Live, method: str) -> None:
    response = live.call("/v1/chat/completions", None, method)
    refused(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "POST"


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1/nothing", "/v1/chat", "/v1/chat/completions/"])
def test_an_unknown_address_of_the_ai_surface_is_not_found_in_its_own_shape(live: Live, path: str) -> None:
    refused(live.call(path), 404, "not_found")


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/nothing", "/api/me/", "/api/organizations/"])
def test_an_unknown_address_of_the_management_api_is_not_found_in_its_own_shape(
    live: Live, path: str
) -> None:
    response = live.call(path)
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert set(problem) == {"type", "title", "status", "detail", "code", "trace_id", "errors"}
    assert (problem["code"], problem["status"]) == ("not_found", 404)
    assert problem["trace_id"] == response.headers["x-trace-id"]


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"{", 400, "invalid_json"),
        (b"\xff\xfe", 400, "invalid_json"),
        (b"[" * 100_000, 400, "invalid_json"),
        (b"", 422, "validation_failed"),
        (b"[]", 422, "validation_failed"),
        (b'{"email":"a@b.org"}', 422, "validation_failed"),
        (b'{"email":"a@b.org","password":1}', 422, "validation_failed"),
        (b'{"email":"a@b.org","password":"x","admin":true}', 422, "validation_failed"),
        (b'{"email":"a\\u0000@b.org","password":"x"}', 422, "validation_failed"),
    ],
)
def test_a_wrong_body_of_the_management_api_is_a_problem_and_no_accident(
    live: Live, content: bytes, status: int, code: str
) -> None:
    headers = {"content-type": "application/json"}
    response = live.http.post("/api/auth/login", content=content, headers=headers)
    assert (response.status_code, response.json()["code"]) == (status, code), response.text
    assert response.json()["trace_id"] == response.headers["x-trace-id"]


@pytest.mark.parametrize("name", ["", " ", "x" * 201, "a\x00b", None, 7, ["x"]])
def test_a_wrong_name_makes_no_key_and_no_project(live: Live, name: Any) -> None:
    token = live.operator_token()
    org = f"/api/organizations/{live.organization_id}"
    before = (live.call(f"{org}/projects").json(), live.call(f"{org}/api-keys", token).json())
    for path, body in (
        ("projects", {"name": name}),
        ("api-keys", {"name": name, "project_id": live.project_id}),
    ):
        response = live.call(f"{org}/{path}", token, "POST", json=body)
        assert (response.status_code, response.json()["code"]) == (422, "validation_failed"), response.text
        if name != "a\x00b":  # that one is found out by the database
            assert response.json()["errors"][0]["loc"][-1] == "name"
    assert before == (live.call(f"{org}/projects").json(), live.call(f"{org}/api-keys", token).json())


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "limit=x", "cursor=x", "cursor=", "cursor=%00", "cursor=W10"]
)
def test_a_wrong_page_is_refused(live: Live, query: str) -> None:
    response = live.call(f"/api/organizations/{live.organization_id}/transactions?{query}")
    assert (response.status_code, response.json()["code"]) == (422, "validation_failed"), response.text


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/api/organizations/{org}/projects"])
def test_who_is_unknown_is_refused_before_a_byte_of_the_body_is_read(live: Live, path: str) -> None:
    url = urlsplit(live.url)
    with socket.create_connection((url.hostname, url.port), timeout=5) as connection:
        head = (
            f"POST {path.format(org=live.organization_id)} HTTP/1.1\r\nhost: x\r\n"
            "content-type: application/json\r\ncontent-length: 900000\r\n\r\n"
        )
        connection.sendall(head.encode())  # and not a byte of the body
        answer = connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 401 ")
