"""What can go wrong with accounts."""

from __future__ import annotations

from deepspace.kit.errors import Conflict, PlatformError, Unauthorized


class InvalidCredentials(PlatformError):
    """The e-mail address or the password is wrong."""

    status = 401
    code = "invalid_credentials"


class SessionExpired(PlatformError):
    """The session has ended; sign in again."""

    status = 401
    code = "session_expired"


class KeyMalformed(Unauthorized):
    """This is not an API key of this platform: its checksum does not fit. Was it copied whole?"""


class KeyUnknown(Unauthorized):
    """This API key is not known here."""


class KeyRevoked(Unauthorized):
    """This API key was revoked."""


class KeyExpired(Unauthorized):
    """This API key has expired."""


class EmailTaken(Conflict):
    """There is an account with this e-mail address already."""

    code = "email_taken"
