"""Changing the key of channels' credentials on a running platform, step by step as operations.md says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from deepspace.kit.embedded_postgres import EmbeddedPostgres
from deepspace.testing.fake_upstream import FakeUpstream
from tests.chaos.books import fresh_database
from tests.support.gateways import another
from tests.support.live import Live, start_live

NEW = "the next key of the channels' credentials; long enough"


@pytest.fixture(scope="module")
def vault(
    postgres: EmbeddedPostgres, upstream: FakeUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    """A platform of its own: after the change its first gateway opens no credential."""
    with start_live(fresh_database(postgres, "vault"), upstream, tmp_path_factory.mktemp("vault")) as running:
        yield running


def rotate(vault: Live, **settings: str) -> dict[str, str]:
    """Run the command in the environment that the settings make."""
    environment = {
        **os.environ,
        "DEEPSPACE_DATABASE_URL": vault.database_url,
        "DEEPSPACE_SECRET_KEY": vault.secret_key,
        **{f"DEEPSPACE_{name}": value for name, value in settings.items()},
    }
    done = subprocess.run(
        [sys.executable, "-m", "deepspace", "admin", "rotate-channel-keys"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return json.loads(done.stdout)


def sealed(vault: Live) -> list[bytes]:
    """Return every sealed credential as the database has it."""
    with psycopg.connect(vault.database_url) as connection:
        rows: list[Any] = connection.execute(
            "SELECT sealed_key, sealed_usage_key, sealed_proxy FROM channels"
        ).fetchall()
    return [bytes(value) for row in rows for value in row if value is not None]


def test_the_key_of_credentials_is_changed_under_running_gateways(vault: Live, tmp_path: Path) -> None:
    own = vault.channel(
        {"model": "own", "upstream_model": "fake-echo", "max_output_tokens": 50}, usage_key="sk-reports"
    )
    before = sealed(vault)
    assert vault.chat("own", "one").status_code == 200
    with another(vault, tmp_path / "next", CREDENTIAL_KEYS_ACCEPTED=NEW) as following:
        assert following.chat(vault.api_key, model="own").status_code == 200
        told = rotate(vault, CREDENTIAL_KEY=NEW)
        assert told == {"resealed": str(len(before)), "current": "0"}
        after = sealed(vault)
        assert not {value[:9] for value in before} & {value[:9] for value in after}
        assert rotate(vault, CREDENTIAL_KEY=NEW) == {"resealed": "0", "current": str(len(before))}
        time.sleep(1.1)
        assert following.chat(vault.api_key, model="own").status_code == 200
    with another(vault, tmp_path / "last", CREDENTIAL_KEY=NEW) as last:
        assert last.chat(vault.api_key, model="own").status_code == 200
        # A gateway that never heard of the new key leaves the channels out, and goes on.
        assert vault.chat("own", "two").status_code == 404
        assert vault.call("/v1/models").json()["data"] == []
        assert own["id"] in vault.call("/api/admin/channels", vault.operator_token()).text
        assert rotate(vault) == {
            "resealed": "0",
            "current": "0",
            "broken": rotate(vault)["broken"],
        }
        assert rotate(vault, CREDENTIAL_KEYS_ACCEPTED=NEW)["resealed"] == str(len(before))
    time.sleep(1.1)
    assert vault.chat("own", "three").status_code == 200
    with psycopg.connect(vault.database_url) as connection:
        rows = connection.execute(
            "SELECT detail->>'resealed' FROM audit_logs WHERE event = 'channel.keys_rotated'"
        ).fetchall()
    assert str(len(before)) in {row[0] for row in rows}


def test_a_key_that_is_too_short_stops_the_start_by_name(vault: Live) -> None:
    for name in ("CREDENTIAL_KEY", "CREDENTIAL_KEYS_ACCEPTED"):
        with pytest.raises(subprocess.CalledProcessError) as stopped:
            rotate(vault, **{name: "short"})
        assert f"DEEPSPACE_{name}" in stopped.value.stderr
