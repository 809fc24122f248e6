"""deepspace up | gateway | worker | migrate | doctor | admin | openapi."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from deepspace.billing.receipts import ReceiptWrong, verify_receipt
from deepspace.cli import administration, doctor, supervisor
from deepspace.cli.gateway import run_gateway
from deepspace.cli.web_dist import find_web_dist
from deepspace.gateway.api import openapi_document
from deepspace.kit.errors import PlatformError
from deepspace.kit.log import configure_logging
from deepspace.migrations import migrate as run_migrations
from deepspace.pipeline.plugins import PluginRefused, load_plugins
from deepspace.settings import Settings, SettingsWrong, load_settings
from deepspace.wiring import Platform, wire
from deepspace.worker.app import run_worker

app = typer.Typer(
    help="DeepSpace Workflows: an open, self-hosted AI research platform.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
admin = typer.Typer(help="Manage users and wallets from the machine itself.", no_args_is_help=True)
app.add_typer(admin, name="admin")
audit = typer.Typer(help="Check what this platform has signed, without a server.", no_args_is_help=True)
app.add_typer(audit, name="audit")

DataDir = Annotated[Path | None, typer.Option(help="Where the database, secrets and files live.")]


def _settings(**overrides: Any) -> Settings:
    try:
        settings = load_settings(**overrides)
        if settings.web_dist is None:
            settings = settings.model_copy(update={"web_dist": find_web_dist()})
    except SettingsWrong as error:
        _stop(str(error))
    return settings


def _stop(sentence: str) -> NoReturn:
    print(f"deepspace: {sentence}", file=sys.stderr)
    raise typer.Exit(2)


@app.command()
def up(
    data_dir: DataDir = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Gateway processes.")] = 1,
) -> None:
    """Start everything: PostgreSQL, migrations, gateway, local model. Ctrl-C drains and stops."""
    settings = _settings(data_dir=data_dir, host=host, port=port)
    configure_logging(settings.log_level, process="up")
    try:
        load_plugins()  # a gateway that cannot start would be started again and again
        asyncio.run(supervisor.up(settings, workers))
    except (supervisor.CannotStart, SettingsWrong, PluginRefused) as error:
        _stop(str(error))


@app.command()
def gateway(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    fd: Annotated[
        int | None, typer.Option(help="A listening socket handed down by a parent process.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Run one gateway process against DEEPSPACE_DATABASE_URL."""
    settings = _settings(host=host, port=port, data_dir=data_dir)
    configure_logging(settings.log_level, process="gateway")
    try:
        run_gateway(settings, fd)
    except (SettingsWrong, PluginRefused) as error:
        _stop(str(error))


@app.command()
def worker(data_dir: DataDir = None) -> None:
    """Run one worker process against DEEPSPACE_DATABASE_URL."""
    settings = _settings(data_dir=data_dir)
    configure_logging(settings.log_level, process="worker")
    try:
        asyncio.run(run_worker(settings))
    except SettingsWrong as error:
        _stop(str(error))


@app.command()
def migrate() -> None:
    """Bring the database of DEEPSPACE_DATABASE_URL to the newest version."""
    settings = _settings()
    if settings.database_url is None:
        _stop("DEEPSPACE_DATABASE_URL: it is needed here (only `deepspace up` brings its own)")
    try:
        run_migrations(settings.database_url)
    except SettingsWrong as error:
        _stop(str(error))


@app.command("doctor")
def run_doctor(data_dir: DataDir = None) -> None:
    """Check the installation and the books; exits 1 if something is wrong."""
    settings = _reachable(data_dir)
    findings = asyncio.run(doctor.examine(settings))
    for finding in findings:
        print(f"{'ok  ' if finding.ok else 'FAIL'} {finding.name}: {finding.text}")
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


@app.command()
def openapi(
    write: Annotated[Path | None, typer.Option(help="Write the document to this file.")] = None,
    check: Annotated[
        Path | None, typer.Option(help="Exit 1 if this file is not the present document.")
    ] = None,
) -> None:
    """Print the OpenAPI document, write it, or check a committed one."""
    text = json.dumps(openapi_document(), indent=1, ensure_ascii=False, sort_keys=False) + "\n"
    if write is not None:
        write.parent.mkdir(parents=True, exist_ok=True)
        write.write_text(text)
    elif check is not None:
        if not check.is_file() or check.read_text() != text:
            print(f"{check} is not what the code says; run: make openapi", file=sys.stderr)
            raise typer.Exit(1)
    else:
        print(text, end="")


@audit.command("verify-receipt")
def check_receipt(
    file: Path,
    public_key: Annotated[
        str | None, typer.Option(help="The installation's key, from a place you trust.")
    ] = None,
) -> None:
    """Check a receipt of GET /api/receipts/{id}: its signature and its sum. Exits 1 if it does not hold."""
    try:
        print(verify_receipt(json.loads(file.read_text()), public_key))
    except (OSError, json.JSONDecodeError, ReceiptWrong) as error:
        print(f"deepspace: {error}", file=sys.stderr)
        raise typer.Exit(1) from None


@admin.command("create-user")
def create_user(
    email: str,
    name: Annotated[str, typer.Option(help="The person's name.")],
    password: Annotated[str, typer.Option(prompt=True, hide_input=True, help="At least 10 characters.")],
    organization: Annotated[str | None, typer.Option(help="Also create an organisation they own.")] = None,
    operator: Annotated[bool, typer.Option(help="Make them an operator of the platform.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Create a user, and with --organization an organisation with a project and a wallet."""
    _administer(
        data_dir,
        lambda platform: administration.create_user(
            platform, email, name, password, organization, operator=operator
        ),
    )


@admin.command("reset-password")
def reset_password(
    email: str,
    password: Annotated[str, typer.Option(prompt=True, hide_input=True, help="At least 10 characters.")],
    data_dir: DataDir = None,
) -> None:
    """Set a user's password."""
    _administer(data_dir, lambda platform: administration.reset_password(platform, email, password))


@admin.command("reset-second-factor")
def reset_second_factor(email: str, data_dir: DataDir = None) -> None:
    """Take a user's second factor away, for somebody who lost it, and end their sessions."""
    _administer(data_dir, lambda platform: administration.reset_second_factor(platform, email))


@admin.command("rotate-channel-keys")
def rotate_channel_keys(data_dir: DataDir = None) -> None:
    """Seal all channels' credentials anew, by DEEPSPACE_CREDENTIAL_KEY. Those that do not open are named."""
    _administer(data_dir, administration.rotate_channel_keys)


@admin.command("clear-access-rules")
def clear_access_rules(
    organization: Annotated[
        str | None, typer.Option(help="Id of an organisation whose rules lock its members out.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Remove all access rules on addresses: the operators' own, or an organisation's."""
    _administer(data_dir, lambda platform: administration.clear_access_rules(platform, organization))


@admin.command("top-up")
def top_up(organization_id: str, amount: str, reason: str, data_dir: DataDir = None) -> None:
    """Book a payment into an organisation's wallet."""
    _administer(data_dir, lambda platform: administration.top_up(platform, organization_id, amount, reason))


def _reachable(data_dir: Path | None) -> Settings:
    """Return settings with the database and secret of a data directory, if the environment names none."""
    try:
        return supervisor.with_data_dir(_settings(data_dir=data_dir))
    except supervisor.CannotStart as error:
        _stop(str(error))


def _administer(data_dir: Path | None, act: Callable[[Platform], Awaitable[dict[str, str]]]) -> None:
    async def run(settings: Settings) -> dict[str, str]:
        platform = wire(settings)
        try:
            return await act(platform)
        finally:
            await platform.close()

    try:
        print(json.dumps(asyncio.run(run(_reachable(data_dir))), indent=1))
    except (PlatformError, SettingsWrong) as error:
        _stop(str(error))
