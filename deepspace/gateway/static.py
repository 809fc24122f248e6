"""The web app: precompressed files, a fresh CSP nonce in every page, the single-page fallback."""

from __future__ import annotations

import hashlib
import mimetypes
import secrets
from dataclasses import dataclass
from pathlib import Path

from deepspace.gateway.asgi import Scope, Send, header, send_whole
from deepspace.kit.errors import NotFound

_NONCE = b"__CSP_NONCE__"
_IMMUTABLE = b"public, max-age=31536000, immutable"
_ENCODINGS = (("br", ".br"), ("gzip", ".gz"))
_PAGE_HEADERS = (
    (b"cache-control", b"no-cache"),
    (b"x-frame-options", b"DENY"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)


def content_security_policy(nonce: str) -> bytes:
    """Return the policy of a page: nothing from elsewhere, no inline script, styles only with the nonce."""
    return (
        "default-src 'none'; script-src 'self'; "
        f"style-src-elem 'self' 'nonce-{nonce}'; style-src-attr 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; manifest-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ).encode()


@dataclass(frozen=True, slots=True)
class _File:
    body: bytes
    content_type: bytes
    variants: tuple[tuple[str, bytes], ...]
    etag: bytes


class StaticFiles:
    """Serves a built web app from memory; a build is a few megabytes."""

    def __init__(self, dist: Path | None) -> None:
        """Read every file under `dist`; None or an absent build serves a page that says how to build it."""
        self._files: dict[str, _File] = {}
        self._index: bytes | None = None
        if dist is not None and (dist / "index.html").is_file():
            self._index = (dist / "index.html").read_bytes()
            for path in dist.rglob("*"):
                if path.is_file() and _is_served(path.relative_to(dist)):
                    self._files[f"/{path.relative_to(dist).as_posix()}"] = _read(path)
            self._files.pop("/index.html", None)

    async def __call__(self, scope: Scope, send: Send) -> None:
        """Answer a GET or HEAD; NotFound for an address that is neither a file nor a page."""
        file = self._files.get(scope["path"])
        if file is not None:
            return await self._send_file(scope, send, file)
        if "text/html" not in (header(scope, b"accept") or "") or scope["path"].startswith("/assets/"):
            raise NotFound("There is no such address.")
        return await self._send_page(send)

    async def _send_file(self, scope: Scope, send: Send, file: _File) -> None:
        accepted = {
            part.split(";")[0].strip() for part in (header(scope, b"accept-encoding") or "").split(",")
        }
        # Names under /assets/ carry a hash of their content; any other file is asked for again, by its tag.
        cache = _IMMUTABLE if scope["path"].startswith("/assets/") else b"no-cache"
        headers = [(b"cache-control", cache), (b"vary", b"accept-encoding"), (b"etag", file.etag)]
        if (header(scope, b"if-none-match") or "").encode() == file.etag:
            return await send_whole(send, 304, b"", file.content_type, headers)
        body = file.body
        for name, variant in file.variants:
            if name in accepted:
                headers.append((b"content-encoding", name.encode()))
                body = variant
                break
        return await send_whole(send, 200, body, file.content_type, headers)

    async def _send_page(self, send: Send) -> None:
        if self._index is None:
            text = b"The web app is not built here. Run: make web\n"
            return await send_whole(send, 503, text, b"text/plain; charset=utf-8")
        nonce = secrets.token_urlsafe(16)
        headers = [*_PAGE_HEADERS, (b"content-security-policy", content_security_policy(nonce))]
        page = self._index.replace(_NONCE, nonce.encode())
        return await send_whole(send, 200, page, b"text/html; charset=utf-8", headers)


def _read(path: Path) -> _File:
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    if kind.startswith("text/") or kind in {"application/javascript", "application/json", "image/svg+xml"}:
        kind += "; charset=utf-8"
    variants = [
        (name, path.with_name(path.name + suffix).read_bytes())
        for name, suffix in _ENCODINGS
        if path.with_name(path.name + suffix).is_file()
    ]
    body = path.read_bytes()
    etag = f'W/"{hashlib.sha256(body).hexdigest()[:16]}"'.encode()
    return _File(body, kind.encode(), tuple(variants), etag)


def _is_served(path: Path) -> bool:
    """Tell whether a file of the build is for browsers: no variants, no maps, nothing in a dot folder."""
    hidden = any(part.startswith(".") for part in path.parts)
    return not hidden and path.suffix not in {".br", ".gz", ".map"}
