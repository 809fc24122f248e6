"""What the Responses API has and a gateway without a memory has not."""

from __future__ import annotations

from deepspace.kit.errors import PlatformError


class StateNotKept(PlatformError):
    """No responses are kept here: send the whole conversation as `input`."""

    status = 400
    code = "state_not_kept"
