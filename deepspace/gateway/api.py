"""The management API: FastAPI with our errors, and the OpenAPI document it generates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from deepspace import __version__
from deepspace.gateway import errors
from deepspace.gateway.openapi import complete
from deepspace.gateway.routes import ROUTERS


def management_api(provided: Mapping[type[Any], Any]) -> FastAPI:
    """Return the application behind /api."""
    app = FastAPI(
        title="DeepSpace Workflows",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,  # an address is right or it is not: no redirect built from a Host header
    )
    app.state.provided = provided
    for router in ROUTERS:
        app.include_router(router)
    errors.install(app)
    return app


def openapi_document() -> dict[str, Any]:
    """Return the OpenAPI document of the whole gateway."""
    app = management_api({})
    document = get_openapi(title=app.title, version=app.version, routes=app.routes)
    return complete(document)
