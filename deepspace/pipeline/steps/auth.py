"""auth: who is calling, and in which organisation and project."""

from __future__ import annotations

from deepspace.accounts.authenticator import Authenticator
from deepspace.pipeline.exchange import Exchange


class Auth:
    """Finds the project the call is made in, and whose credential it is unless the endpoint knows already: it
    authenticates before it reads a body."""

    name = "auth"

    def __init__(self, authenticator: Authenticator) -> None:
        """Check credentials with this authenticator."""
        self._authenticator = authenticator

    async def __call__(self, x: Exchange) -> None:
        """Write principal, org_id and project_id; refuse without valid credentials or without `chat:use`."""
        start = x.clock.monotonic_ns()
        principal = x.principal
        if principal is None:
            principal = await self._authenticator.principal(x.credential, "chat", x.client_ip)
        org_id, project = await self._authenticator.project_for(principal, x.wanted_project)
        x.principal, x.org_id, x.project_id = principal, org_id, project.id
        principal.demand_in_project(org_id, project, "chat:use")
        x.note(self.name, "auth.accepted", duration_ns=x.clock.monotonic_ns() - start, kind=principal.kind)
