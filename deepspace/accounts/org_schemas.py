"""HTTP bodies of organisations, members, roles, teams, projects and invitations."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from deepspace.accounts.permissions import PERMISSIONS, ProjectRole, Role
from deepspace.accounts.schemas import Body, Email, Name


def _example(**fields: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", str_strip_whitespace=True, json_schema_extra={"example": fields})


def _known(word: str) -> str:
    if word not in PERMISSIONS:
        raise ValueError(f"'{word}' is not a permission; GET /api/permissions lists them")
    return word


Word = Annotated[str, AfterValidator(_known)]
Words = Annotated[list[Word], Field(max_length=len(PERMISSIONS))]
Access = Literal["organization", "members"]


class OrganizationBody(Body):
    """An organisation to make, or its new name."""

    model_config = _example(name="Protein lab")

    name: Name


class ObstacleView(BaseModel):
    """Why a deletion would be refused now."""

    code: str
    detail: str


class DeletionView(BaseModel):
    """What deleting an organisation would do."""

    goes: dict[str, int] = Field(description="How many of each would be gone.")
    stays: dict[str, int] = Field(description="What bookkeeping keeps, seen by operators only.")
    obstacles: list[ObstacleView] = Field(description="Why it would be refused now; empty if it would not.")


class NewOwnerBody(Body):
    """Who becomes the owner."""

    user_id: UUID


class TeamRef(BaseModel):
    """A team by name."""

    id: UUID
    name: str


class MemberView(BaseModel):
    """A member of an organisation."""

    user_id: UUID
    email: str
    name: str
    role: str = Field(description="owner, admin, member, guest, or custom.")
    role_id: UUID | None
    role_name: str | None = Field(description="The name of a role of the organisation's own.")
    teams: list[TeamRef]
    joined_at: datetime


class MemberBody(Body):
    """A member's new role: a built-in one, or one of the organisation's own."""

    model_config = _example(role="admin")

    role: Role | None = None
    role_id: UUID | None = None


class EndedView(BaseModel):
    """What ended with a membership."""

    revoked_api_keys: int = Field(description="API keys the person had made in this organisation.")


class PermissionView(BaseModel):
    """A word of the vocabulary."""

    name: str
    meaning: str


class VocabularyView(BaseModel):
    """Permissions, and what the built-in roles hold."""

    permissions: list[PermissionView]
    roles: dict[str, list[str]]
    project_roles: dict[str, list[str]]


class NewRoleBody(Body):
    """A role to make. `organization:read` is always part of it."""

    model_config = _example(name="Bookkeeper", permissions=["billing:read", "billing:write"])

    name: Name
    permissions: Words


class RoleBody(Body):
    """Changes of a role; what is left out stays."""

    name: Name | None = None
    permissions: Words | None = None


class RoleView(BaseModel):
    """A role of an organisation's own."""

    id: UUID
    name: str
    permissions: list[str]
    members: int = Field(description="How many members have it.")
    created_at: datetime


class TeamBody(Body):
    """A team to make, or its new name."""

    model_config = _example(name="Wet lab")

    name: Name


class TeamView(BaseModel):
    """A team."""

    id: UUID
    name: str
    members: int = Field(description="How many are in it.")
    created_at: datetime


class TeamMemberBody(Body):
    """Who joins a team."""

    user_id: UUID


class TeamMemberView(BaseModel):
    """Somebody in a team."""

    user_id: UUID
    email: str
    name: str
    joined_at: datetime


class NewProjectBody(Body):
    """A project to create."""

    model_config = _example(name="Folding", access="organization")

    name: Name
    access: Access = "organization"


class ProjectBody(Body):
    """Changes of a project; what is left out stays."""

    name: Name | None = None
    access: Access | None = None


class NewProjectMemberBody(Body):
    """A member or a team of the organisation, and their role in the project."""

    user_id: UUID | None = None
    team_id: UUID | None = None
    role: ProjectRole


class ProjectMemberBody(Body):
    """Another role in the project."""

    role: ProjectRole


class ProjectMemberView(BaseModel):
    """A person or a team with a role in a project."""

    id: UUID
    user_id: UUID | None
    team_id: UUID | None
    name: str = Field(description="Of the person or the team.")
    email: str | None
    role: str
    created_at: datetime


class NewInvitationBody(Body):
    """Somebody to invite: with `email` only that address may accept, and a mail is sent to it."""

    model_config = _example(email="ada@example.org", role="member", expires_in_days=7)

    email: Email | None = None
    role: Literal["admin", "member", "guest"] | None = None
    role_id: UUID | None = None
    team_id: UUID | None = None
    project_id: UUID | None = None
    project_role: ProjectRole | None = None
    expires_in_days: Annotated[int, Field(ge=1, le=30)] = 7


class InvitationView(BaseModel):
    """An invitation without its token."""

    id: UUID
    email: str | None
    role: str
    role_id: UUID | None
    role_name: str | None
    team_id: UUID | None
    project_id: UUID | None
    project_role: str | None
    state: Literal["open", "accepted", "revoked", "expired"]
    inviter: str | None = Field(description="Name of who made it.")
    created_at: datetime
    expires_at: datetime
    accepted_by: UUID | None


class NewInvitationView(InvitationView):
    """An invitation just made: `token` and `url` are shown this once."""

    token: str
    url: str


class InvitationPreview(BaseModel):
    """What somebody sees who holds an invitation's token."""

    organization_name: str
    role: str
    inviter: str | None
    expires_at: datetime
    for_email: bool = Field(description="Whether only the invited e-mail address may accept.")


class AcceptedView(BaseModel):
    """Where somebody is a member now."""

    organization_id: UUID
