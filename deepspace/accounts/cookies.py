"""The cookies of signing in. Scripts read none of them, and other sites' pages send none but the one that
comes back from a sign-in provider."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from fastapi import Request, Response

from deepspace.accounts import devices, oidc
from deepspace.kit.errors import PermissionDenied

REFRESH = "deepspace_refresh"
DEVICE = "deepspace_device"
OIDC_WAY = "deepspace_oidc"
AUTH_PATH = "/api/auth"
_SECURE = "__Secure-"


class Cookies:
    """Sets, reads and drops cookies. Over https their names begin with `__Secure-` (RFC 6265bis 4.1.3)."""

    def __init__(self, *, session_ttl: timedelta, public_https: bool) -> None:
        """`public_https`: browsers reach us over https, also if a proxy speaks plain http to us."""
        self._session_ttl = session_ttl
        self._public_https = public_https

    def set_refresh(self, request: Request, response: Response, token: str) -> None:
        """Keep a refresh token in the browser."""
        self._set(request, response, REFRESH, token, self._session_ttl)

    def set_device(self, request: Request, response: Response, value: str) -> None:
        """Keep a device cookie in the browser."""
        self._set(request, response, DEVICE, value, devices.LIFETIME)

    def set_oidc_way(self, request: Request, response: Response, value: str) -> None:
        """Keep what is remembered of a way to a provider; the provider's redirect must bring it along."""
        self._set(request, response, OIDC_WAY, value, oidc.WAY_LASTS, samesite="lax")

    def read(self, request: Request, name: str) -> str | None:
        """Return a cookie, whichever of its two names it has."""
        return request.cookies.get(_SECURE + name) or request.cookies.get(name)

    def drop(self, response: Response, name: str) -> None:
        """Remove a cookie from the browser."""
        response.delete_cookie(name, path=AUTH_PATH)
        response.delete_cookie(_SECURE + name, path=AUTH_PATH, secure=True)

    def _set(
        self,
        request: Request,
        response: Response,
        name: str,
        value: str,
        lifetime: timedelta,
        *,
        samesite: Literal["strict", "lax"] = "strict",
    ) -> None:
        secure = self._public_https or request.url.scheme == "https"
        response.set_cookie(
            _SECURE + name if secure else name,
            value,
            max_age=int(lifetime.total_seconds()),
            path=AUTH_PATH,
            secure=secure,
            httponly=True,
            samesite=samesite,
        )


def refuse_cross_site(request: Request) -> None:
    """Refuse a request that another site's page makes with our cookie (Fetch Metadata, W3C)."""
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise PermissionDenied("Requests from other sites are refused here.")
