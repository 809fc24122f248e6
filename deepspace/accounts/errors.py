"""What can go wrong with accounts."""

from __future__ import annotations

from deepspace.kit.errors import Conflict, PermissionDenied, PlatformError, Unauthorized


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


class KeyWrongAddress(PermissionDenied):
    """This API key may not be used from this address."""


class KeyWrongSurface(PermissionDenied):
    """This API key is not for this part of the platform."""


class KeyIsRevoked(Conflict):
    """This API key is revoked; make a new one."""


class KeyExpired(Unauthorized):
    """This API key has expired."""


class EmailTaken(Conflict):
    """There is an account with this e-mail address already."""

    code = "email_taken"


class TooManyAttempts(PlatformError):
    """Too many attempts. Wait a little before the next one."""

    status = 429
    code = "too_many_attempts"


class SecondFactorRequired(PlatformError):
    """The password is right; now give the code of your authenticator app, or a recovery code.

    `errors[0].challenge` goes to /api/auth/login/second-factor together with the code.
    """

    status = 401
    code = "second_factor_required"


class SecondFactorInvalid(PlatformError):
    """The code is wrong, or was used before."""

    status = 401
    code = "second_factor_invalid"


class RecentSignInNeeded(PlatformError):
    """This account has no password: sign in again, and do this within ten minutes."""

    status = 403
    code = "recent_sign_in_needed"


class RegistrationClosed(PlatformError):
    """One does not register here without an invitation."""

    status = 403
    code = "registration_closed"


class LinkInvalid(PlatformError):
    """This link is unknown, was used before, or is too old."""

    status = 404
    code = "link_invalid"


class SecondFactorState(Conflict):
    """The second factor is not in a state for this."""

    code = "second_factor_state"


class OwnershipFirst(Conflict):
    """You are the only owner of an organisation that has other members. Hand it over first."""

    code = "ownership_first"


class OidcRefused(PlatformError):
    """The sign-in with that provider did not succeed. Begin it again."""

    status = 401
    code = "oidc_refused"


class OidcUnavailable(PlatformError):
    """That sign-in provider does not answer as it should."""

    status = 503
    code = "oidc_unavailable"
