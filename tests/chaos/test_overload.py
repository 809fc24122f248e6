"""F8-F11: slow clients, many clients, too many calls, too little of everything. Nothing that was begun is
lost, what is too much is refused at once with 503 and Retry-After, and others are served meanwhile."""

from __future__ import annotations

import asyncio
import json
import re
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.chaos.books import LONG
from tests.chaos.site import Call, Fleet, calls, fleet, session, try_once
from tests.support.live import Live, Tenant, as_

pytestmark = pytest.mark.timeout(1800 if LONG else 90)

STREAMS = 3000 if LONG else 120
CAP = 1000 if LONG else 60
OVERLOAD_S, PEAK_S = (60, 20) if LONG else (3, 2)


@pytest.fixture(scope="module")
def tenant(site: Live) -> Tenant:
    """An organisation of the module's own."""
    return site.tenant(balance="20")


@contextmanager
def one_gateway(site: Live, directory: Path, **settings: str) -> Iterator[Fleet]:
    """Lend a fleet of one gateway with settings of its own."""
    extra = {f"DEEPSPACE_{name}": value for name, value in settings.items()}
    with fleet(site, directory, **extra) as found:
        found.fork()
        yield found


def dial(gateways: Fleet) -> socket.socket:
    """Open a connection."""
    return socket.create_connection(gateways.listener.getsockname()[:2], timeout=10)


def request(tenant: Tenant, call: Call) -> bytes:
    """Return the bytes of a call."""
    body = json.dumps(call.body).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer {tenant.api_key}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def is_closed(connection: socket.socket, within_s: float) -> bool:
    """Tell whether the other side closes within a time, whatever it says before."""
    connection.settimeout(0.1)
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            if not connection.recv(65536):
                return True
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


def metric(gateways: Fleet, name: str, **labels: str) -> float:
    """Return a figure of a gateway's."""
    wanted = "".join(f'{key}="{value}"' for key, value in labels.items())
    text = httpx2.get(f"{gateways.url}/metrics").text
    found = re.search(rf"^{name}(?:\{{{re.escape(wanted)}\}})? ([\d.e+]+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def latencies(gateways: Fleet, tenant: Tenant, count: int = 20) -> list[float]:
    """Make calls one after the other and return how long each took; each is answered."""
    found: list[float] = []
    with httpx2.Client(base_url=gateways.url, headers=as_(tenant.api_key), timeout=20) as http:
        for call in calls(count, keyed=False):
            started = time.monotonic()
            answer = http.post("/v1/chat/completions", json=call.body)
            found.append(time.monotonic() - started)
            assert answer.status_code == 200, answer.text
    return sorted(found)


def test_f8_slow_heads_slow_bodies_and_idle_connections_end_and_others_do_not_wait(
    site: Live, tenant: Tenant, tmp_path: Path
) -> None:
    count = 400 if LONG else 100
    with one_gateway(site, tmp_path, REQUEST_TIMEOUT_S="2") as gateways, ExitStack() as stack:
        usual = latencies(gateways, tenant)
        whole = request(tenant, Call("fake-echo", "slow", False, None))
        slow = [stack.enter_context(dial(gateways)) for _ in range(3 * count)]
        for number, connection in enumerate(slow):
            connection.sendall((whole[:30], whole[:-5], b"")[number % 3])
        while_attacked = latencies(gateways, tenant)
        assert while_attacked[len(usual) // 2] < max(2 * usual[len(usual) // 2], 0.1)
        time.sleep(1)
        for connection in slow[::3]:
            connection.sendall(b"x: y\r\n")  # a head that drips on is no quicker
        assert all(is_closed(connection, 10) for connection in slow)
        assert latencies(gateways, tenant, 5)


def test_f8_a_client_that_never_reads_is_dropped_and_charged_for_what_was_delivered(
    site: Live, tenant: Tenant, tmp_path: Path
) -> None:
    with one_gateway(site, tmp_path, WRITE_TIMEOUT_S="1", MAX_BODY_MIB="20") as gateways:
        before = metric(gateways, "deepspace_memory_bytes")
        text = "word " * 40_000
        call = Call("fake-flood", text, True, None, max_tokens=40_000)
        flood = {"model": "fake-flood", "upstream_model": "fake-echo", "max_output_tokens": 40_000}
        site.channel(flood, on_disconnect="cancel")
        with dial(gateways) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(request(tenant, call))
            deadline = time.monotonic() + 30
            while not metric(gateways, "deepspace_calls_in_flight") and time.monotonic() < deadline:
                time.sleep(0.05)
            while metric(gateways, "deepspace_calls_in_flight") and time.monotonic() < deadline:
                time.sleep(0.1)
            assert metric(gateways, "deepspace_calls_in_flight") == 0
        assert "slow connections dropped" in gateways.log.read_text()
        assert metric(gateways, "deepspace_memory_bytes") - before < 150 * 1024 * 1024
        site.balance(tenant.organization_id, tenant.api_key)  # nothing stays frozen
        gateways.audit("--settled")


def test_f8_a_head_without_end_and_a_body_without_end_are_cut(
    site: Live, tenant: Tenant, tmp_path: Path
) -> None:
    with one_gateway(site, tmp_path, MAX_BODY_MIB="1") as gateways:
        with dial(gateways) as connection:
            connection.sendall(b"GET /health HTTP/1.1\r\n")
            sent = 0
            with suppress(OSError):
                while sent < 4_000_000:
                    sent += connection.send(b"x-filler: " + b"y" * 4000 + b"\r\n")
            assert sent < 4_000_000 or is_closed(connection, 5)
        for framing in (b"content-length: 10000000000\r\n", b"transfer-encoding: chunked\r\n"):
            with dial(gateways) as connection:
                head = request(tenant, Call("fake-echo", "x", False, None)).split(b"content-length")[0]
                connection.sendall(head + framing + b"\r\n")
                piece = b"10000\r\n" + b"a" * 65536 + b"\r\n" if b"chunked" in framing else b"a" * 65536
                with suppress(OSError):
                    for _ in range(200):
                        connection.sendall(piece)
                connection.settimeout(5)
                with suppress(ConnectionError):  # the answer was lost with the connection that it closes
                    assert b" 413 " in connection.recv(65536)
        assert latencies(gateways, tenant, 3)


async def stream(http: Any, url: str, key: str, words: int) -> tuple[int, str | None, bool]:
    """Make a slow streamed call; return status, Retry-After, and whether it came whole."""
    call = Call("fake-slow", "word " * words, True, None, max_tokens=words)
    async with http.post(f"{url}/v1/chat/completions", json=call.body, headers=as_(key)) as response:
        body = await response.read()
        whole = body.endswith(b"data: [DONE]\n\n") and body.count(b"word ") == words
        return response.status, response.headers.get("retry-after"), whole


def test_f9_many_streams_are_whole_and_one_past_the_cap_is_refused_cleanly(
    site: Live, tenant: Tenant, tmp_path: Path
) -> None:
    async def scene(gateways: Fleet) -> list[tuple[int, str | None, bool]]:
        async with session(STREAMS + 50, timeout_s=120) as http:
            work = [stream(http, gateways.url, tenant.api_key, 40) for _ in range(STREAMS)]
            return await asyncio.gather(*work)

    with one_gateway(site, tmp_path, MAX_CALLS=str(CAP)) as gateways:
        latencies(gateways, tenant, 3)
        before = metric(gateways, "deepspace_memory_bytes")
        found = asyncio.run(scene(gateways))
        after = metric(gateways, "deepspace_memory_bytes")
        served = [one for one in found if one[0] == 200]
        refused = [one for one in found if one[0] != 200]
        assert len(served) >= CAP
        assert all(whole for _, _, whole in served)
        assert {(status, retry) for status, retry, _ in refused} == {(503, "2")}
        assert metric(gateways, "deepspace_shed_total", why="calls") == len(refused)
        assert (after - before) / CAP < (100 if LONG else 400) * 1024
        assert latencies(gateways, tenant, 3)
        gateways.audit("--settled")


def test_f10_ten_times_too_many_calls_leave_most_of_the_goodput_and_pass_at_once(
    site: Live, tenant: Tenant, tmp_path: Path
) -> None:
    """Open loop: calls come whatever becomes of those before. One takes 250 ms; 20 at a time may be made."""

    async def offered(gateways: Fleet, per_s: float, seconds: float) -> list[str]:
        async with session(2000) as http:
            begun: list[asyncio.Task[str]] = []
            started = time.monotonic()
            while (passed := time.monotonic() - started) < seconds:
                while len(begun) < passed * per_s:
                    begun.append(asyncio.create_task(one(http, gateways)))
                await asyncio.sleep(0.005)
            return await asyncio.gather(*begun)

    async def one(http: Any, gateways: Fleet) -> str:
        [call] = calls(1, model="fake-slow", keyed=False, words=5)
        seen = await try_once(http, gateways.url, tenant.api_key, Call("fake-slow", call.text, False, None))
        return seen.outcome if seen.status == 200 else str(seen.status)

    with one_gateway(site, tmp_path, MAX_CALLS="20") as gateways:
        latencies(gateways, tenant, 5)
        peak = asyncio.run(offered(gateways, 60, PEAK_S))
        during = asyncio.run(offered(gateways, 600, OVERLOAD_S))
        after = asyncio.run(offered(gateways, 30, PEAK_S))
        assert set(during) <= {"answered", "503"}
        goodput = during.count("answered") / OVERLOAD_S
        assert goodput >= 0.8 * peak.count("answered") / PEAK_S
        assert after.count("answered") >= 0.95 * len(after)
        gateways.audit("--settled")


def test_f11_without_open_files_left_connections_are_refused_and_calls_are_settled(
    site: Live, tenant: Tenant, tmp_path: Path
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with fleet(site, tmp_path) as gateways, ExitStack() as stack:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        try:
            process = gateways.start()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        with httpx2.Client(base_url=gateways.url, headers=as_(tenant.api_key), timeout=20) as early:
            body = Call("fake-echo", "early", False, None).body
            assert early.post("/v1/chat/completions", json=body).status_code == 200
            crowd = [stack.enter_context(dial(gateways)) for _ in range(400)]
            said = [peek(connection) for connection in crowd]
            assert sum(b" 503 " in text for text in said) > 250
            assert all(b"retry-after" in text for text in said if text)
            full = early.post("/v1/chat/completions", json=body)
            assert (full.status_code, full.json()["error"]["code"]) == (503, "overloaded")
            assert early.get("/health").status_code == 200
            for connection in crowd:
                connection.close()
            assert latencies(gateways, tenant, 5)
        assert process.poll() is None
        assert "Too many open files" not in gateways.log.read_text()
        gateways.audit("--settled")


def peek(connection: socket.socket) -> bytes:
    """Return what the server says without having been asked."""
    connection.settimeout(0.02)
    try:
        return connection.recv(4096)
    except TimeoutError:
        return b""


def test_f11_without_memory_left_new_work_is_refused_and_health_answers(
    site: Live, tenant: Tenant, tmp_path: Path
) -> None:
    with fleet(site, tmp_path, DEEPSPACE_MEMORY_MIB="1") as gateways:
        gateways.start(ready=False)
        deadline = time.monotonic() + 20
        status, load = 0, ""
        while time.monotonic() < deadline and load != "overloaded":
            try:
                ready = httpx2.get(f"{gateways.url}/ready", timeout=2)
                status, load = ready.status_code, ready.json()["load"]
            except httpx2.HTTPError:
                time.sleep(0.1)
        assert (status, load) == (503, "overloaded")
        body = Call("fake-echo", "x", False, None).body
        refused = httpx2.post(f"{gateways.url}/v1/chat/completions", json=body, headers=as_(tenant.api_key))
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
        assert refused.json()["error"]["code"] == "overloaded"
        listed = httpx2.get(f"{gateways.url}/api/me", headers=as_(tenant.token))
        assert (listed.status_code, listed.json()["code"]) == (503, "overloaded")
        assert httpx2.get(f"{gateways.url}/health").status_code == 200
        assert metric(gateways, "deepspace_load_level") == 2
