"""Organisations: members, roles, teams, projects, invitations, deletion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deepspace.accounts.founding import Founding
from deepspace.accounts.invitations import InvitationService
from deepspace.accounts.org_deletion import OrgDeletion
from deepspace.accounts.org_parts import OrgPart
from deepspace.accounts.organizations import OrganizationService
from deepspace.accounts.projects import ProjectService
from deepspace.accounts.roles import RoleService
from deepspace.accounts.teams import TeamService
from deepspace.audit.account_events import AuditedOrganizationEvents
from deepspace.wiring.core import Core, Provided


@dataclass(frozen=True, slots=True)
class OrganizationsPart:
    """What signing in needs of organisations."""

    organizations: OrganizationService
    founding: Founding
    deletion: OrgDeletion
    invitations: InvitationService
    provided: Provided


def wire_organizations(core: Core, parts: Sequence[OrgPart]) -> OrganizationsPart:
    """Build it; `parts` are what other slices keep for every organisation."""
    founding_open = core.settings.registration != "closed"
    events = AuditedOrganizationEvents()
    founding = Founding(parts)
    organizations = OrganizationService(founding, core.clock, events, founding_open=founding_open)
    deletion = OrgDeletion(parts, core.clock, events)
    invitations = InvitationService(core.ring, core.clock, events)
    return OrganizationsPart(
        organizations=organizations,
        founding=founding,
        deletion=deletion,
        invitations=invitations,
        provided=(
            organizations,
            deletion,
            invitations,
            TeamService(events),
            RoleService(core.clock, events),
            ProjectService(core.clock, events),
        ),
    )
