"""The command line in this process: wrong settings and acts on a real database."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pyotp.totp import TOTP
from typer.testing import CliRunner

from deepspace.cli.main import app
from tests.support.live import PASSWORD, Live
from tests.support.people import people
from tests.support.streams import eventually

runner = CliRunner()
SECRET = "s" * 64


@pytest.fixture(autouse=True)
def away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty directory, so that no .env of the repository is read."""
    monkeypatch.chdir(tmp_path)


def sentence(arguments: list[str], environment: dict[str, str]) -> str:
    """Run a command that must fail and return the one line it prints."""
    done = runner.invoke(app, arguments, env=environment)
    assert done.exit_code == 2, done.output
    [line] = done.stderr.splitlines()
    assert done.stdout == ""
    return line


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PORT", "70000", "DEEPSPACE_PORT: input should be less than or equal to 65535"),
        ("SECRET_KEY", "short-canary", "DEEPSPACE_SECRET_KEY: it needs at least 32 characters"),
        ("CURRENCY", "dollars", "DEEPSPACE_CURRENCY: string should match pattern '^[A-Z]{3}$'"),
        ("LOG_LEVEL", "LOUD", "DEEPSPACE_LOG_LEVEL: input should be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ("MAX_BODY_MIB", "0", "DEEPSPACE_MAX_BODY_MIB: input should be greater than or equal to 1"),
        ("CONFIG", "/nowhere.toml", "DEEPSPACE_CONFIG: there is no file /nowhere.toml"),
        ("XYZZY", "1", "DEEPSPACE_XYZZY is not a setting"),
        ("SECRET", "x", "DEEPSPACE_SECRET is not a setting; did you mean DEEPSPACE_SECRET_KEY?"),
    ],
)
@pytest.mark.parametrize("command", [["up"], ["gateway"], ["migrate"], ["doctor"]])
def test_a_wrong_setting_is_named_by_every_command_and_its_value_is_not_shown_if_it_is_secret(
    command: list[str], name: str, value: str, said: str
) -> None:
    line = sentence(command, {f"DEEPSPACE_{name}": value})
    assert line == f"deepspace: {said}"


@pytest.mark.parametrize("command", [["gateway"], ["migrate"]])
def test_a_command_that_needs_a_database_says_so(command: list[str]) -> None:
    assert sentence(command, {}).startswith("deepspace: DEEPSPACE_DATABASE_URL: it is needed here")


def test_a_gateway_without_a_secret_key_says_so() -> None:
    url = "postgresql://nobody@127.0.0.1:9/none"
    line = sentence(["gateway"], {"DEEPSPACE_DATABASE_URL": url})
    assert line.startswith("deepspace: DEEPSPACE_SECRET_KEY: it is needed here")


@pytest.mark.parametrize("command", [["doctor"], ["admin", "top-up", "x", "1", "r"]])
def test_a_directory_without_an_installation_is_named(tmp_path: Path, command: list[str]) -> None:
    line = sentence([*command, "--data-dir", str(tmp_path)], {})
    assert line == (f"deepspace: there is no installation in {tmp_path}; start it with `deepspace up`")


def test_settings_come_from_a_file_too_and_the_environment_wins(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text('currency = "nonsense"\n')
    environment = {"DEEPSPACE_CONFIG": str(tmp_path / "settings.toml")}
    assert "DEEPSPACE_CURRENCY" in sentence(["migrate"], environment)
    environment["DEEPSPACE_CURRENCY"] = "EUR"
    assert "DEEPSPACE_DATABASE_URL" in sentence(["migrate"], environment)  # the next thing that is missing


@pytest.fixture
def installed(database_url: str) -> dict[str, str]:
    """An environment with a migrated database."""
    return {"DEEPSPACE_DATABASE_URL": database_url, "DEEPSPACE_SECRET_KEY": SECRET}


def test_a_migration_of_a_database_that_is_there_already_does_nothing(installed: dict[str, str]) -> None:
    assert runner.invoke(app, ["migrate"], env=installed).exit_code == 0


def test_a_user_is_created_once_and_wrong_acts_change_nothing(installed: dict[str, str]) -> None:
    email = f"{uuid.uuid4().hex}@example.org"
    create = ["admin", "create-user", email, "--name", "Ada", "--password", "a good password"]
    made = runner.invoke(app, [*create, "--organization", "Lab"], env=installed)
    assert made.exit_code == 0, made.output
    org = json.loads(made.stdout)["organization_id"]

    assert "already" in sentence(create, installed)
    short = ["admin", "reset-password", email, "--password", "short"]
    assert sentence(short, installed) == "deepspace: The password needs at least 10 characters."
    unknown = ["admin", "reset-password", "nobody@example.org", "--password", "long enough"]
    assert "no user with the address nobody@example.org" in sentence(unknown, installed)

    for amount, said in (
        ("0.0000000001", "more than 9 decimals"),
        ("nonsense", "not a decimal number"),
        ("0", "more than zero"),
    ):
        assert said in sentence(["admin", "top-up", org, amount, "a gift"], installed)
    assert "no such organisation" in sentence(["admin", "top-up", str(uuid.uuid4()), "1", "x"], installed)
    assert "not an organisation's id" in sentence(["admin", "top-up", "lab", "1", "x"], installed)
    topped = runner.invoke(app, ["admin", "top-up", org, "1.5", "a gift"], env=installed)
    assert json.loads(topped.stdout) == {"organization_id": org, "balance": "1.5"}


def test_a_lost_second_factor_is_taken_away_and_sessions_end_with_it(live: Live) -> None:
    installed = {"DEEPSPACE_DATABASE_URL": live.database_url, "DEEPSPACE_SECRET_KEY": live.secret_key}
    [person] = people(live, "forgetful")
    factor = "/api/me/second-factor"
    password = {"password": PASSWORD}
    secret = live.call(factor, person.token, "POST", json=password).json()["secret"]
    code = {"code": TOTP(secret).now()}
    assert live.call(f"{factor}/confirm", person.token, "POST", json=code).status_code == 200
    knock = {"email": person.email, **password}
    assert live.http.post("/api/auth/login", json=knock).json()["code"] == "second_factor_required"

    unknown = ["admin", "reset-second-factor", "nobody@example.org"]
    assert "no user with the address nobody@example.org" in sentence(unknown, installed)
    done = runner.invoke(app, ["admin", "reset-second-factor", person.email.upper()], env=installed)
    assert done.exit_code == 0, done.output
    eventually(lambda: live.call("/api/me", person.token).status_code == 401)
    token = live.login(person.email, PASSWORD)
    assert live.call(factor, token).json() == {"enabled": False, "recovery_codes_left": 0}


def test_who_is_locked_out_by_address_rules_gets_in_again_from_the_command_line(live: Live) -> None:
    installed = {"DEEPSPACE_DATABASE_URL": live.database_url, "DEEPSPACE_SECRET_KEY": live.secret_key}
    tenant = live.tenant("0", name="Locked out")
    path = f"/api/organizations/{tenant.organization_id}"
    rules: dict[str, Any] = {"kind": "ip", "effect": "allow", "mode": "dry_run", "cidrs": ["192.0.2.0/24"]}
    made = live.call(f"{path}/policies", tenant.token, "POST", json=rules)
    assert made.status_code == 201, made.text
    models = {"kind": "model", "effect": "deny", "models": ["no-such-model"]}
    kept = live.call(f"{path}/policies", tenant.token, "POST", json=models).json()["id"]
    with psycopg.connect(live.database_url, autocommit=True) as database:
        database.execute("UPDATE policy_rules SET mode = 'enforce' WHERE id = %s", [made.json()["id"]])
    eventually(lambda: live.call(path, tenant.token).status_code == 403)
    command = ["admin", "clear-access-rules"]
    assert "not an organisation's id" in sentence([*command, "--organization", "lab"], installed)
    done = runner.invoke(app, [*command, "--organization", tenant.organization_id], env=installed)
    assert json.loads(done.stdout) == {"removed": "1"}
    eventually(lambda: live.call(path, tenant.token).status_code == 200)
    left = live.call(f"{path}/policies", tenant.token).json()["items"]
    assert [rule["id"] for rule in left] == [kept]
    with psycopg.connect(live.database_url, autocommit=True) as database:
        database.execute(
            "INSERT INTO policy_rules (id, kind, effect, mode, note, condition)"
            " VALUES (gen_random_uuid(), 'ip', 'allow', 'dry_run', '', %s)",
            ['{"cidrs": ["192.0.2.0/24"]}'],
        )
    done = runner.invoke(app, command, env=installed)
    assert json.loads(done.stdout) == {"removed": "1"}
    assert json.loads(runner.invoke(app, command, env=installed).stdout) == {"removed": "0"}


def test_the_doctor_finds_a_sound_database_sound(installed: dict[str, str]) -> None:
    done = runner.invoke(app, ["doctor"], env=installed)
    assert done.exit_code == 0, done.output
    assert all(line.startswith("ok  ") for line in done.stdout.splitlines())


def test_a_database_that_cannot_be_reached_is_told_in_one_sentence() -> None:
    line = sentence(["migrate"], {"DEEPSPACE_DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none"})
    assert line.startswith("deepspace: DEEPSPACE_DATABASE_URL: the database cannot be reached: connection")


def test_the_doctor_says_that_a_database_does_not_answer() -> None:
    environment = {
        "DEEPSPACE_DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none",
        "DEEPSPACE_SECRET_KEY": SECRET,
    }
    done = runner.invoke(app, ["doctor"], env=environment)
    assert done.exit_code == 1, done.output
    assert "FAIL database" in done.stdout
