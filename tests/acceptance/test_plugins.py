"""The example plug-in, installed beside a real gateway: its verdict is in the trace, its refusal costs
nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deepspace.pipeline.plugins import GROUP
from tests.support.gateways import Another, another
from tests.support.live import Live, Tenant
from tests.support.plugins import EXAMPLE, install, write_metadata


@pytest.fixture(scope="module")
def tenant(live: Live) -> Tenant:
    """An organisation of the module's own."""
    return live.tenant()


@pytest.fixture(scope="module")
def extended(live: Live, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Another]:
    """A gateway with the example installed, and a limit of 300 bytes."""
    directory = tmp_path_factory.mktemp("extended")
    site = install(EXAMPLE, directory / "site")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(site))
        patch.setenv("PROMPT_LENGTH_MAX_BYTES", "300")
        with another(live, directory / "gateway") as gateway:
            yield gateway


def run(live: Live, site: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run the command line with a directory of packages on its path."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(site),
        "DEEPSPACE_DATABASE_URL": live.database_url,
        "DEEPSPACE_SECRET_KEY": live.secret_key,
        "DEEPSPACE_DATA_DIR": str(site / "data"),
    }
    return subprocess.run(
        [sys.executable, "-m", "deepspace", *command],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_its_verdict_is_in_the_trace(live: Live, extended: Another, tenant: Tenant) -> None:
    answer = extended.chat(tenant.api_key, text="short")
    assert answer.status_code == 200, answer.text
    story = live.trace(answer.headers["x-trace-id"], tenant.api_key)
    [verdict] = [event for event in story["timeline"] if event["step"] == "prompt_length"]
    assert verdict["event"] == "prompt_length.checked"
    assert verdict["detail"]["allowed"] == 300
    steps = [event["step"] for event in story["timeline"]]
    assert steps.index("policy") < steps.index("prompt_length") < steps.index("budget_hold")


def test_its_refusal_reaches_nobody_and_costs_nothing(live: Live, extended: Another, tenant: Tenant) -> None:
    before = live.balance(tenant.organization_id, tenant.api_key)
    answer = extended.chat(tenant.api_key, text="long " * 100)
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "prompt_too_long"
    assert live.upstream.of_prompt("long " * 100) == []
    assert live.balance(tenant.organization_id, tenant.api_key) == before
    story = live.trace(answer.headers["x-trace-id"], tenant.api_key)
    assert story["timeline"][-1]["event"] == "prompt_length.refused"


def test_a_gateway_without_it_does_not_ask_it(live: Live, tenant: Tenant) -> None:
    answer = live.chat("fake-echo", "long " * 100, tenant.api_key)
    story = live.trace(answer.headers["x-trace-id"], tenant.api_key)
    assert all(event["step"] != "prompt_length" for event in story["timeline"])


def test_doctor_lists_it_with_its_place(live: Live, tmp_path: Path) -> None:
    told = run(live, install(EXAMPLE, tmp_path / "site"), "doctor").stdout
    assert (
        "ok   plug-in prompt_length: deepspace-prompt-length 1.0.0, behind policy, in front of budget_hold"
        in told
    )


def test_a_bad_plug_in_stops_the_start_by_name(live: Live, tmp_path: Path) -> None:
    write_metadata(tmp_path, "broken", "0.1", {GROUP: {"broken_step": "no_such_module:plugin"}})
    for command in ("gateway", "up"):
        stopped = run(live, tmp_path, command)
        assert stopped.returncode == 2, stopped.stderr
        assert "the plug-in 'broken_step' of broken 0.1" in stopped.stderr
        assert "Traceback" not in stopped.stderr
    told = run(live, tmp_path, "doctor")
    assert told.returncode == 1
    assert "FAIL plug-ins: the plug-in 'broken_step'" in told.stdout
