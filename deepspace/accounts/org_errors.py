"""What can go wrong inside an organisation."""

from __future__ import annotations

from deepspace.kit.errors import Conflict, PlatformError


class LastOwner(Conflict):
    """An organisation always has an owner. Make somebody else one first, or delete the organisation."""

    code = "last_owner"


class NameTaken(Conflict):
    """There is one with this name already."""

    code = "name_taken"


class RoleInUse(Conflict):
    """Members have this role, or open invitations give it. Change those first."""

    code = "role_in_use"


class AlreadyMember(Conflict):
    """That person has a part in it already."""

    code = "already_member"


class DefaultProject(Conflict):
    """The default project cannot be archived, nor an archived one be the default. Choose another default."""

    code = "default_project"


class InvitationExpired(PlatformError):
    """This invitation has expired; ask for a new one."""

    status = 410
    code = "invitation_expired"


class InvitationUsed(PlatformError):
    """This invitation was accepted already; each is good for one person."""

    status = 410
    code = "invitation_used"


class InvitationRevoked(PlatformError):
    """This invitation was taken back, or whoever made it may not give that role any more."""

    status = 410
    code = "invitation_revoked"


class InvitationNotYours(PlatformError):
    """This invitation is for another e-mail address."""

    status = 403
    code = "invitation_not_yours"
