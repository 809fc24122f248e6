"""Where a channel is, and the head of a request to it (RFC 9112, sections 3 and 5)."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from deepspace.upstream.errors import UpstreamUnavailable

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FORBIDDEN_IN_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_OF_THE_CLIENT = frozenset(
    ("host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "expect")
)
"""Fields that say where a request goes and where it ends: nobody else sets them (RFC 9112, 11.2)."""

_FORBIDDEN_IN_TARGET = re.compile(r"[\x00-\x20\x7f-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy that opens tunnels; `authorization` is the value of the header of that name."""

    host: str
    port: int
    authorization: str | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """Who a connection leads to, and through which proxy."""

    host: str
    port: int
    tls: bool
    proxy: Proxy | None = None


def proxy_of(url: str) -> Proxy:
    """Return the proxy of an address such as `http://user:password@proxy:3128`; UpstreamUnavailable if it is
    none."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UpstreamUnavailable("The channel's proxy is not an HTTP address.") from None
    if parts.scheme != "http" or not parts.hostname:
        raise UpstreamUnavailable("The channel's proxy is not an HTTP address.")
    authorization = None
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = f"Basic {b64encode(pair.encode()).decode()}"
    return Proxy(parts.hostname, port or 80, authorization)


def connect_request(origin: Origin, proxy: Proxy) -> bytes:
    """Return the request for a tunnel (RFC 9110, 9.3.6)."""
    host = f"[{origin.host}]" if ":" in origin.host else origin.host.encode("idna").decode()
    target = f"{host}:{origin.port}"
    lines = [f"CONNECT {target} HTTP/1.1\r\n".encode(), field("host", target)]
    if proxy.authorization is not None:
        lines.append(field("proxy-authorization", proxy.authorization))
    return b"".join([*lines, b"\r\n"])


def origin_of(base_url: str, proxy: str | None = None) -> Origin:
    """Return the origin of an http or https address; UpstreamUnavailable if it is none."""
    try:
        parts = urlsplit(base_url)
        port = parts.port
    except ValueError:
        raise UpstreamUnavailable("The channel's address is not an HTTP address.") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
        raise UpstreamUnavailable("The channel's address is not an HTTP address.")
    tls = parts.scheme == "https"
    via = proxy_of(proxy) if proxy is not None else None
    return Origin(parts.hostname, port or (443 if tls else 80), tls, via)


def field(name: str, value: str) -> bytes:
    """Return a header field as a line.

    UpstreamUnavailable for a value with a line end or another control character: it would begin a header, or
    a request, of its own (RFC 9110, 5.5).
    """
    if _NAME.fullmatch(name) is None or _FORBIDDEN_IN_VALUE.search(value) is not None:
        raise UpstreamUnavailable(f"The header '{name[:50]!a}' of a request to the provider is not valid.")
    return f"{name}: {value}\r\n".encode()


def head_of(base_url: str, path: str, api_key: str | None, *, is_json: bool = True) -> bytes:
    """Return what the head of every POST to `path` under `base_url` begins with; it lacks what differs from
    call to call, the length of the body and the end; without `is_json` the body's media type too.

    UpstreamUnavailable if the address or the credential cannot stand in a head.
    """
    origin = origin_of(base_url)
    target = f"{urlsplit(base_url).path.rstrip('/')}{path}"
    if not target.startswith("/") or _FORBIDDEN_IN_TARGET.search(target) is not None:
        raise UpstreamUnavailable("The channel's address is not an HTTP address.")
    host = f"[{origin.host}]" if ":" in origin.host else origin.host.encode("idna").decode()
    if origin.port != (443 if origin.tls else 80):
        host = f"{host}:{origin.port}"
    lines = [
        f"POST {target} HTTP/1.1\r\n".encode(),
        field("host", host),
        field("user-agent", "deepspace-gateway"),
        field("accept-encoding", "identity"),
    ]
    if is_json:
        lines.append(field("content-type", "application/json"))
    if api_key is not None:
        lines.append(field("authorization", f"Bearer {api_key}"))
    return b"".join(lines)


def request(head: bytes, headers: Mapping[str, str], body: bytes) -> bytes:
    """Return a whole request; UpstreamUnavailable for what `field` refuses, and for a header that is the
    client's own."""
    if not _OF_THE_CLIENT.isdisjoint([name.lower() for name in headers]):
        raise UpstreamUnavailable("The channel sets a header that is not for it to set.")
    more = b"".join([field(name, value) for name, value in headers.items()])
    return b"%b%bcontent-length: %d\r\n\r\n%b" % (head, more, len(body), body)
