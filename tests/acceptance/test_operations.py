"""Health, metrics, documents, trace ids, static files: what runs beside the calls."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import deepspace
from deepspace.cli.web_dist import find_web_dist
from tests.support.live import Live
from tests.support.streams import eventually, listen

TRACE_ID = re.compile(r"\A[0-9a-f]{32}\Z")
DIST = find_web_dist()
OPERATIONS = ["/health", "/ready", "/metrics", "/openapi.json", "/docs", "/"]
built = pytest.mark.skipif(DIST is None, reason="the web app is not built: run make web")


def test_health_says_ok_and_ready_names_its_parts(live: Live) -> None:
    health, ready = live.http.get("/health"), live.http.get("/ready")
    assert (health.status_code, health.json()) == (200, {"status": "ok"})
    assert ready.status_code == 200
    assert ready.json()["components"] == {"database": "ok", "ledger": "ok"}


def test_metrics_count_responses_by_surface_and_status_and_name_nobody(live: Live) -> None:
    def counted() -> float:
        text = live.http.get("/metrics").text
        found = re.search(r'deepspace_http_responses_total\{status="404",surface="v1"\} (\S+)', text)
        return float(found[1]) if found else 0.0

    before = counted()
    live.chat("no-such-model-for-metrics", "hi")
    eventually(lambda: counted() == before + 1)
    text = live.http.get("/metrics").text
    assert "no-such-model-for-metrics" not in text
    assert live.organization_id not in text
    assert "deepspace_calls_in_flight 0" in text


def test_the_served_document_is_the_committed_one(live: Live) -> None:
    committed = Path(deepspace.__file__).parent.parent / "api" / "openapi.json"
    assert live.http.get("/openapi.json").json() == json.loads(committed.read_text())


def test_the_documentation_lists_every_operation_and_loads_nothing(live: Live) -> None:
    page = live.http.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    for path in live.http.get("/openapi.json").json()["paths"]:
        assert path in page.text
    assert "<script" not in page.text
    assert "http://" not in page.text.replace("http://127.0.0.1", "")


@pytest.mark.parametrize("path", OPERATIONS)
def test_operations_take_no_post(live: Live, path: str) -> None:
    response = live.http.post(path)
    assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")


@pytest.mark.parametrize(
    "path",
    [*OPERATIONS, "/nothing", "/assets/x.js", "/api/me", "/api/nothing", "/v1/models", "/v1/nothing"],
)
def test_every_response_has_a_trace_id_of_its_own_and_continues_an_incoming_one(
    live: Live, path: str
) -> None:
    first, second = live.http.get(path), live.http.get(path)
    assert TRACE_ID.match(first.headers["x-trace-id"])
    assert first.headers["x-trace-id"] != second.headers["x-trace-id"]
    assert first.headers["x-content-type-options"] == "nosniff"
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    continued = live.http.get(path, headers={"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"})
    assert continued.headers["x-trace-id"] == trace_id


@pytest.mark.parametrize(
    "traceparent",
    [
        "nonsense",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
    ],
)
def test_a_malformed_traceparent_is_left_aside(live: Live, traceparent: str) -> None:
    found = live.http.get("/health", headers={"traceparent": traceparent}).headers["x-trace-id"]
    assert TRACE_ID.match(found)
    assert found not in traceparent.lower()


def test_a_stream_has_a_trace_id_and_is_not_to_be_stored(live: Live) -> None:
    heard = listen(live, "fake-echo", "hi")
    assert TRACE_ID.match(heard.headers["x-trace-id"])
    assert heard.headers["cache-control"] == "no-store"
    assert heard.headers["x-accel-buffering"] == "no"


def test_nothing_tells_which_server_software_this_is(live: Live) -> None:
    assert "server" not in live.http.get("/health").headers


@pytest.mark.parametrize("path", ["/assets/nothing.js", "/assets/../../pyproject.toml", "/favicon.nothing"])
def test_an_unknown_file_is_not_found_as_a_problem(live: Live, path: str) -> None:
    response = live.http.get(path, headers={"accept": "*/*"})
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "path",
    [
        "/..%2f..%2fpyproject.toml",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/assets/..%2findex.html",
        "//etc/passwd",
        "/.built",
    ],
)
def test_no_path_leads_out_of_the_build(live: Live, path: str) -> None:
    response = live.http.get(path, headers={"accept": "*/*"})
    assert response.status_code == 404


@built
def test_every_page_has_a_policy_with_a_nonce_used_once(live: Live) -> None:
    nonces: set[str] = set()
    for path in ("/", "/login", "/traces/abc"):
        page = live.http.get(path, headers={"accept": "text/html"})
        assert page.status_code == 200, path
        policy = page.headers["content-security-policy"]
        [nonce] = re.findall(r"'nonce-([^']+)'", policy)
        assert "__CSP_NONCE__" not in page.text
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy  # no inline script, no eval
        assert page.headers["cache-control"] == "no-cache"
        assert page.headers["x-frame-options"] == "DENY"
        nonces.add(nonce)
    assert len(nonces) == 3


@built
def test_a_built_file_is_served_compressed_as_the_client_likes_it_and_for_ever(live: Live) -> None:
    assert DIST is not None
    file = next(DIST.glob("assets/*.js.br")).name.removesuffix(".br")
    plain = live.http.get(f"/assets/{file}", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == (DIST / "assets" / file).read_bytes()
    assert plain.headers["content-type"].startswith("text/javascript")
    for encoding in ("br", "gzip"):
        response = live.http.get(
            f"/assets/{file}", headers={"accept-encoding": f"{encoding};q=1.0, identity"}
        )
        assert response.headers["content-encoding"] == encoding
        assert int(response.headers["content-length"]) < len(plain.content)
        assert "immutable" in response.headers["cache-control"]
        assert response.headers["vary"] == "accept-encoding"


@built
def test_an_answer_to_head_has_no_body(live: Live) -> None:
    response = live.http.head("/", headers={"accept": "text/html"})
    assert response.status_code == 200
    assert response.content == b""
