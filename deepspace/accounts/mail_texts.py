"""What mails say, in the reader's language. Links carry their token behind `#`, where no server, proxy or
Referer header sees it."""

from __future__ import annotations

from deepspace.accounts.mail import Mail

_EN = {
    "verify_email": (
        "Confirm your e-mail address",
        "Hello {name},\n\nplease confirm that this address is yours:\n\n{link}\n\n"
        "The link works for three days. If you did not register, ignore this mail.\n",
    ),
    "change_email": (
        "Confirm your new e-mail address",
        "Hello {name},\n\nthis address was given as the new one of your account. Confirm it:\n\n{link}\n\n"
        "The link works for one hour. If you did not ask for this, ignore this mail.\n",
    ),
    "email_change_notice": (
        "Your e-mail address is to be changed",
        "Hello {name},\n\nsomebody signed in to your account asked to change its address to {new_email}.\n"
        "Nothing has changed yet: the new address must be confirmed first.\n\n"
        "If it was not you, change your password and end all other sessions: {link}\n",
    ),
    "reset_password": (
        "Set a new password",
        "Hello {name},\n\na new password was asked for your account. Set it here:\n\n{link}\n\n"
        "The link works once, for 30 minutes. If you did not ask for it, ignore this mail: your password "
        "stays as it is.\n",
    ),
    "password_changed": (
        "Your password was changed",
        "Hello {name},\n\nthe password of your account was changed just now, and other sessions were ended."
        "\n\nIf it was not you, set a new one at once: {link}\n",
    ),
}

_ZH = {
    "verify_email": (
        "确认您的邮箱地址",
        "{name}，您好：\n\n请确认这个邮箱地址属于您：\n\n{link}\n\n链接三天内有效。如果您没有注册，请忽略这封邮件。\n",
    ),
    "change_email": (
        "确认您的新邮箱地址",
        "{name}，您好：\n\n有人把这个地址填为您账户的新邮箱，请确认：\n\n{link}\n\n"
        "链接一小时内有效。如果不是您本人操作，请忽略这封邮件。\n",
    ),
    "email_change_notice": (
        "您的邮箱地址即将更改",
        "{name}，您好：\n\n有人登录您的账户，申请把邮箱改为 {new_email}。\n"
        "目前还没有任何改动：新地址需要先确认。\n\n如果不是您本人，请修改密码并结束其他会话：{link}\n",
    ),
    "reset_password": (
        "设置新密码",
        "{name}，您好：\n\n有人为您的账户申请设置新密码，请在这里设置：\n\n{link}\n\n"
        "链接只能使用一次，30 分钟内有效。如果不是您本人申请，请忽略这封邮件，密码不会改变。\n",
    ),
    "password_changed": (
        "您的密码已更改",
        "{name}，您好：\n\n您账户的密码刚刚被更改，其他会话已结束。\n\n如果不是您本人，请立即重新设置：{link}\n",
    ),
}

TEXTS: dict[str, dict[str, tuple[str, str]]] = {"en-US": _EN, "zh-CN": _ZH}

PAGES = {
    "verify_email": "confirm-email",
    "change_email": "confirm-email",
    "email_change_notice": "settings",
    "reset_password": "reset-password",
    "password_changed": "forgot-password",
}
"""The page of the web app that a mail's link opens."""


class MailTexts:
    """Writes mails whose links lead to this installation."""

    def __init__(self, public_url: str) -> None:
        """`public_url` is where browsers find the web app."""
        self._public_url = public_url.rstrip("/")

    def write(
        self, kind: str, *, to: str, name: str, locale: str, token: str | None = None, new_email: str = ""
    ) -> Mail:
        """Return the mail of this kind in the reader's language, English if we do not have theirs."""
        subject, body = TEXTS.get(locale, _EN)[kind]
        link = f"{self._public_url}/{PAGES[kind]}" + (f"#token={token}" if token is not None else "")
        # A name is a stranger's words in a mail with our sender: letters only, so no address in it.
        letters = "".join(sign if sign.isalnum() or sign in "-'’·" else " " for sign in name)
        shown = " ".join(letters.split())[:80]
        return Mail(kind, to, subject, body.format(name=shown, link=link, new_email=new_email))
