"""A proxy for a channel: what goes through it, who sees its credentials, what happens when it does not do."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.support.connect_proxy import ConnectProxy, connect_proxy
from tests.support.live import Live, Tenant

PASSWORD = "proxy-pass-word"


@pytest.fixture(scope="module")
def tenant(live: Live) -> Tenant:
    """An organisation of the module's own."""
    return live.tenant()


@pytest.fixture
def proxy() -> Iterator[ConnectProxy]:
    """A proxy that wants credentials."""
    with connect_proxy("lab", PASSWORD) as made:
        yield made


def behind(live: Live, url: str) -> tuple[dict[str, Any], str]:
    """Create a channel behind a proxy; return it with its model."""
    name = f"behind-{uuid.uuid4().hex[:8]}"
    made = live.channel({"model": name, "upstream_model": "fake-echo", "max_output_tokens": 200}, proxy=url)
    return made, name


def test_calls_and_the_import_of_models_go_through_the_proxy(
    live: Live, tenant: Tenant, proxy: ConnectProxy
) -> None:
    made, model = behind(live, proxy.url)
    for stream in (False, True):
        answer = live.chat(model, "one two", tenant.api_key, stream=stream)
        assert answer.status_code == 200, answer.text
        assert "two" in answer.text
    place = live.upstream.base_url.split("/")[2]
    assert proxy.asked == [f"CONNECT {place}"]  # one tunnel, kept
    path = f"/api/admin/channels/{made['id']}/import-models"
    imported = live.call(path, live.operator_token(), "POST", json={"dry_run": True})
    assert imported.status_code == 200, imported.text
    assert proxy.asked[-1].startswith("GET http://")


def test_its_credentials_are_sealed_and_never_shown(live: Live, proxy: ConnectProxy) -> None:
    made, _ = behind(live, proxy.url)
    assert made["proxy"] == f"http://127.0.0.1:{proxy.port}"
    assert PASSWORD not in live.call("/api/admin/channels", live.operator_token()).text
    with psycopg.connect(live.database_url) as connection:
        row: Any = connection.execute(
            "SELECT sealed_proxy, c::text FROM channels c WHERE id = %s", (made["id"],)
        ).fetchone()
    assert PASSWORD.encode() not in bytes(row[0])
    assert PASSWORD not in row[1]
    assert PASSWORD not in live.log.read_text()


def test_a_proxy_that_refuses_or_is_gone_is_an_unavailable_provider(
    live: Live, tenant: Tenant, proxy: ConnectProxy
) -> None:
    _, model = behind(live, f"http://lab:wrong@127.0.0.1:{proxy.port}")
    answer = live.chat(model, "one", tenant.api_key)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "upstream_unavailable")
    assert proxy.refused > 0
    assert "wrong" not in answer.text
    _, model = behind(live, "http://127.0.0.1:1")
    assert live.chat(model, "one", tenant.api_key).status_code == 503


@pytest.mark.parametrize(
    "said", [b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", b"220 mail ready\r\n\r\n"]
)
def test_a_proxy_that_says_more_than_its_head_or_no_http_is_not_trusted(
    live: Live, tenant: Tenant, proxy: ConnectProxy, said: bytes
) -> None:
    proxy.answer = said
    _, model = behind(live, proxy.url)
    assert live.chat(model, "one", tenant.api_key).status_code == 503


def test_a_proxy_is_taken_away_and_a_wrong_address_is_refused(
    live: Live, tenant: Tenant, proxy: ConnectProxy
) -> None:
    made, model = behind(live, proxy.url)
    path, operator = f"/api/admin/channels/{made['id']}", live.operator_token()
    assert live.call(path, operator, "PATCH", json={"proxy": None}).json()["proxy"] is None
    assert live.chat(model, "one", tenant.api_key).status_code == 200
    assert proxy.asked == []
    for wrong in (
        "socks5://127.0.0.1:1",
        "http://",
        "http://proxy/path",
        "http://pr\u00f6xy:1",
        "http://p:99999",
    ):
        assert live.call(path, operator, "PATCH", json={"proxy": wrong}).status_code == 422, wrong
