"""Links and mails of invitations."""

from __future__ import annotations

from datetime import datetime

from deepspace.accounts.mail import Mail, PostOffice

_SUBJECT = "Invitation · 邀请：{organization}"
_BODY = """\
{inviter} invites you to the organisation {organization}. Accept here:

{link}

The link is for you alone and works once, until {until} UTC. If you did not expect it, ignore this mail.

{inviter} 邀请您加入组织 {organization}。请在这里接受：

{link}

链接仅供您本人使用一次，有效期至 {until}（UTC）。如果您不知情，请忽略这封邮件。
"""


class InvitationMail:
    """Writes and posts invitations. The reader's language is not known yet, so they come in both."""

    def __init__(self, post: PostOffice, public_url: str) -> None:
        """`public_url` is where browsers find the web app."""
        self._post = post
        self._public_url = public_url.rstrip("/")

    def url(self, token: str) -> str:
        """Return the page that accepts an invitation. The token stands behind `#`: no server sees it."""
        return f"{self._public_url}/invitation#token={token}"

    def send(self, *, to: str, organization: str, inviter: str, token: str, expires_at: datetime) -> None:
        """Post the mail; call it after the commit."""
        words = {
            "organization": _one_line(organization),
            "inviter": _one_line(inviter),
            "link": self.url(token),
            "until": f"{expires_at:%Y-%m-%d %H:%M}",
        }
        self._post.post(Mail("invitation", to, _SUBJECT.format(**words), _BODY.format(**words)))


def _one_line(text: str) -> str:
    """Return a stranger's words as they may stand in a mail of ours: one line, and no address in it."""
    return " ".join(text.split()).replace("://", " ").replace("www.", " ")[:80]
