"""`deepspace up`: one process that starts the others, starts them again when they die, and stops them in
order."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import secrets
import signal
import socket
import sys
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from deepspace.cli import first_run
from deepspace.cli.child import Child
from deepspace.kit.embedded_postgres import EmbeddedPostgres
from deepspace.kit.log import get_logger
from deepspace.migrations import migrate
from deepspace.settings import Settings
from deepspace.upstream import local_embeddings, local_model
from deepspace.wiring import wire

log = get_logger(__name__)

DATABASE = "deepspace"
_READY_S = 60.0


class CannotStart(Exception):
    """The platform cannot start; the message says why and what to do."""


def postgres_of(settings: Settings) -> EmbeddedPostgres:
    """Return the embedded server of a data directory."""
    return EmbeddedPostgres.at(settings.data_dir / "postgres")


def with_data_dir(settings: Settings) -> Settings:
    """Return the settings completed from the data directory: database address and secret key."""
    found: dict[str, object] = {}
    if settings.database_url is None:
        postgres = postgres_of(settings)
        if not (postgres.data_dir / "PG_VERSION").exists():
            raise CannotStart(
                f"there is no installation in {settings.data_dir}; start it with `deepspace up`"
            )
        found["database_url"] = postgres.url(DATABASE)
    if settings.secret_key is None:
        found["secret_key"] = SecretStr(_secret_key(settings.data_dir))
    return settings.model_copy(update=found)


def _secret_key(data_dir: Path) -> str:
    """Return the installation's root secret, made on the first start."""
    path = data_dir / "secret-key"
    with suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32))
            file.flush()
            os.fsync(file.fileno())
    return path.read_text().strip()


def _prepare_data_dir(data_dir: Path) -> int:
    """Create and lock the data directory; return the lock's descriptor. CannotStart if it is unusable."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise CannotStart(f"the data directory {data_dir} is not writable: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise CannotStart(f"another `deepspace up` is running on the data directory {data_dir}") from None
    return lock


def _listen(host: str, port: int) -> socket.socket:
    """Return a listening socket. The supervisor keeps it: while a gateway restarts, clients wait, none is
    refused."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise CannotStart(f"port {port} on {host} is in use; choose another with --port") from None
        raise CannotStart(f"cannot listen on {host}:{port}: {error.strerror}") from None
    listener.listen(2048)
    return listener


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass(slots=True)
class _Up:
    """What is running."""

    settings: Settings
    children: list[Child] = field(default_factory=list[Child])
    keepers: list[asyncio.Task[None]] = field(default_factory=list[asyncio.Task[None]])

    def start(self, child: Child) -> None:
        """Start a child. On a terminal its log goes to a file, so that the credentials stay in sight."""
        if sys.stderr.isatty():
            logs = self.settings.data_dir / "logs"
            logs.mkdir(mode=0o700, exist_ok=True)
            child.log_file = logs / f"{child.name}.log"
        self.children.append(child)
        self.keepers.append(asyncio.create_task(child.keep_running(), name=child.name))

    async def stop(self) -> None:
        """Stop in reverse order: the gateways drain while the database still runs."""
        for child in reversed(self.children):
            await child.stop()
        for keeper in self.keepers:
            keeper.cancel()
        await asyncio.gather(*self.keepers, return_exceptions=True)


async def up(settings: Settings, workers: int) -> None:
    """Run everything until SIGINT or SIGTERM."""
    listener = _listen(settings.host, settings.port)
    lock = _prepare_data_dir(settings.data_dir)
    running = _Up(settings)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        await _start(running, settings, listener, workers, stop)
        await stop.wait()
        print("\ndeepspace: stopping; calls under way may finish", file=sys.stderr, flush=True)
    finally:
        await running.stop()
        listener.close()
        os.close(lock)


async def _start(
    running: _Up, settings: Settings, listener: socket.socket, workers: int, stop: asyncio.Event
) -> None:
    if settings.database_url is None:
        await _start_postgres(running, settings)
    settings = with_data_dir(settings)
    await asyncio.to_thread(migrate, settings.database_url or "")
    host, port = listener.getsockname()[:2]
    url = f"http://{_reachable_host(host)}:{port}"
    model_port = _free_port() if local_model.is_installed() else None
    embeddings_port = _free_port() if local_embeddings.is_installed() else None
    platform = wire(settings)
    try:
        made = await first_run.seed(platform, settings.data_dir, url)
        if model_port is not None:
            await first_run.register_local_model(platform, model_port)
        if embeddings_port is not None:
            await first_run.register_local_embeddings(platform, embeddings_port)
    finally:
        await platform.close()
    if model_port is not None:
        running.start(_local("local-model", local_model.__name__, model_port))
    if embeddings_port is not None:
        running.start(_local("local-embeddings", local_embeddings.__name__, embeddings_port))
    for number in range(workers):
        running.start(_gateway(settings, listener, number))
    running.start(_worker(settings))
    await _wait_ready(url, [port for port in (model_port, embeddings_port) if port is not None], stop)
    _print_banner(url, settings.data_dir, made, local=model_port is not None)


async def _start_postgres(running: _Up, settings: Settings) -> None:
    postgres = postgres_of(settings)
    try:
        await asyncio.to_thread(postgres.initialise)
    except (OSError, RuntimeError) as error:
        raise CannotStart(f"the embedded PostgreSQL cannot be set up: {error}") from None

    async def before() -> None:
        await asyncio.to_thread(postgres.end_stray)

    running.start(
        Child(
            "postgres",
            postgres.command,
            stop_signal=signal.SIGINT,
            grace_s=20,
            user=postgres.run_as,
            before=before,
        )
    )
    try:
        await asyncio.to_thread(postgres.wait_ready, 60)
    except TimeoutError as error:
        raise CannotStart(str(error)) from None
    await asyncio.to_thread(postgres.create_database, DATABASE)


def _reachable_host(host: str) -> str:
    """Return the address by which this machine reaches a listener: "every address" is none to connect to."""
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _environment(settings: Settings) -> dict[str, str]:
    secret = settings.secret_key.get_secret_value() if settings.secret_key is not None else ""
    return {
        **os.environ,
        "DEEPSPACE_DATABASE_URL": settings.database_url or "",
        "DEEPSPACE_SECRET_KEY": secret,
        "DEEPSPACE_DATA_DIR": str(settings.data_dir.resolve()),
    }


def _worker(settings: Settings) -> Child:
    command = [sys.executable, "-m", "deepspace", "worker"]
    return Child("worker", lambda: command, grace_s=15, environment=_environment(settings))


def _gateway(settings: Settings, listener: socket.socket, number: int) -> Child:
    descriptor = listener.fileno()
    return Child(
        f"gateway-{number}",
        lambda: [sys.executable, "-m", "deepspace", "gateway", "--fd", str(descriptor)],
        grace_s=settings.drain_s + 15,
        environment=_environment(settings),
        pass_fds=(descriptor,),
    )


def _local(name: str, module: str, port: int) -> Child:
    """Return the process of a local model, which listens on a port of the loopback."""
    return Child(
        name,
        lambda: [sys.executable, "-m", module, str(port)],
        stop_signal=signal.SIGKILL,
        grace_s=2,
    )


async def _wait_ready(url: str, model_ports: Sequence[int], stop: asyncio.Event) -> None:
    """Return when the gateway and the local models answer; a model that is slow to load does not hold up the
    rest."""
    wanted = [f"{url}/ready", *[f"http://127.0.0.1:{port}/health" for port in model_ports]]
    deadline = asyncio.get_running_loop().time() + _READY_S
    for address in wanted:
        while not stop.is_set() and not await asyncio.to_thread(_answers, address):
            if asyncio.get_running_loop().time() > deadline:
                log.warning("not everything is ready yet; it is being waited for in the background")
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 0.1)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=2) as response:  # noqa: S310 - our own loopback address
            return response.status == 200
    except OSError:
        return False


def _print_banner(url: str, data_dir: Path, made: dict[str, str] | None, *, local: bool) -> None:
    show: Callable[[str], None] = lambda line: print(line, flush=True)  # noqa: E731
    show(f"\nDeepSpace Workflows is ready:  {url}\n")
    if made is not None:
        show(f"  e-mail     {made['admin_email']}")
        show(f"  password   {made['admin_password']}")
        show(f"  API key    {made['api_key']}")
        show(f"\n  (also in {data_dir / first_run.FILE}, which only you can read)")
    else:
        show(f"  The first start's credentials are in {data_dir / first_run.FILE}.")
    if local:
        show(f"  Model {local_model.MODEL}: small, runs on this machine, made for trying things out.")
        if local_embeddings.is_installed():
            show(f"  Model {local_embeddings.MODEL}: embeddings, small too.")
    else:
        show("  No local model: the extra `local` is not installed. Add a channel as an operator.")
    if sys.stderr.isatty():
        show(f"  Logs are in {data_dir / 'logs'}.")
    show("  Ctrl-C stops.\n")
