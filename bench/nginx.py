"""nginx as a plain reverse proxy, if the machine has one: what merely passing bytes on costs."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_CONFIGURATION = """
worker_processes 1;
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/nginx.log warn;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  keepalive_requests 1000000;
  upstream provider {{ server 127.0.0.1:{upstream}; keepalive 256; keepalive_requests 1000000; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://provider;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }}
  }}
}}
"""


def _program() -> str | None:
    return shutil.which("nginx") or shutil.which("/usr/sbin/nginx")


@contextmanager
def nginx_proxy(directory: Path, upstream_port: int) -> Iterator[tuple[int, int] | None]:
    """Run nginx in front of a provider; yields its port and process id, or None if there is no nginx."""
    program = _program()
    if program is None:
        yield None
        return
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    file = directory / "nginx.conf"
    file.write_text(_CONFIGURATION.format(directory=directory, upstream=upstream_port, port=port))
    process = subprocess.Popen([program, "-c", str(file), "-e", str(directory / "nginx.log")])
    try:
        _wait(port)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(10)


def _wait(port: int) -> None:
    for _ in range(100):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise SystemExit("bench: nginx did not start")
