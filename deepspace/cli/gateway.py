"""One gateway process: uvicorn with uvloop and httptools."""

from __future__ import annotations

import socket
from collections.abc import Set
from typing import cast

import uvicorn

from deepspace.gateway.app import Gateway
from deepspace.gateway.connections import Client
from deepspace.gateway.server import GatewayProtocol
from deepspace.pipeline.plugins import load_plugins
from deepspace.settings import Settings
from deepspace.wiring import wire


def run_gateway(settings: Settings, fd: int | None) -> None:
    """Serve until SIGTERM or SIGINT, then drain. `fd` is a listening socket, else host and port are bound.

    SettingsWrong or PluginRefused if it cannot start.
    """
    gateway = Gateway(wire(settings, plugins=[plugin.step for plugin in load_plugins()]))
    config = uvicorn.Config(
        gateway,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=GatewayProtocol,
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=int(settings.drain_s) + 5,
        backlog=2048,
        timeout_keep_alive=75,  # longer than proxies and clients keep theirs, so it is they who close
    )
    server = uvicorn.Server(config)
    gateway.connections = cast("Set[Client]", server.server_state.connections)
    sockets = [socket.socket(fileno=fd)] if fd is not None else None
    server.run(sockets=sockets)
