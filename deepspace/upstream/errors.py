"""What can go wrong beyond our own door. Foreign errors are translated to these once, in client.py and
wire.py."""

from __future__ import annotations

from deepspace.kit.errors import Conflict, NotFound, PlatformError


class ModelNotFound(NotFound):
    """There is no such model here. `GET /v1/models` lists what there is."""

    code = "model_not_found"


class UpstreamUnavailable(PlatformError):
    """No channel could answer: the model's provider is unreachable or overloaded. Nothing was charged."""

    status = 503
    code = "upstream_unavailable"


class ChannelsBusy(UpstreamUnavailable):
    """Every channel of this model is busy, or was asked by its provider to wait. Nothing was charged."""


class UpstreamTimeout(PlatformError):
    """The model's provider did not answer in time."""

    status = 504
    code = "upstream_timeout"


class UpstreamError(PlatformError):
    """The model's provider answered with something that is not an answer."""

    status = 502
    code = "upstream_error"


class UpstreamRejected(PlatformError):
    """The model's provider refused the request."""

    status = 400
    code = "upstream_rejected"


class ContextTooLong(UpstreamRejected):
    """The request is too long for the model."""


class ChannelNameTaken(Conflict):
    """There is a channel with this name already."""

    code = "channel_name_taken"


class ReportUnavailable(UpstreamError):
    """The model's provider cannot tell what was used."""
