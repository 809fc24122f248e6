"""One gateway process: uvicorn with uvloop and httptools."""

from __future__ import annotations

import socket

import uvicorn

from deepspace.gateway.app import Gateway
from deepspace.gateway.server import GatewayProtocol
from deepspace.pipeline.plugins import load_plugins
from deepspace.settings import Settings
from deepspace.wiring import wire


def run_gateway(settings: Settings, fd: int | None) -> None:
    """Serve until SIGTERM or SIGINT, then drain. `fd` is a listening socket, else host and port are bound.

    SettingsWrong or PluginRefused if it cannot start.
    """
    config = uvicorn.Config(
        Gateway(wire(settings, plugins=[plugin.step for plugin in load_plugins()])),
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
    sockets = [socket.socket(fileno=fd)] if fd is not None else None
    server.run(sockets=sockets)
