"""Mail: a port, SMTP behind it, and for installations without a mail server a directory of files."""

from __future__ import annotations

import asyncio
import os
import smtplib
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from ipaddress import ip_address
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from deepspace.kit.ids import uuid7
from deepspace.kit.log import get_logger

log = get_logger(__name__)

_TIMEOUT_S = 20
_TRIES = 3
_MAX_WAITING = 1000


@dataclass(frozen=True, slots=True)
class Mail:
    """A plain-text mail. `kind` names it in the log, where nothing else of it may stand."""

    kind: str
    to: str
    subject: str
    body: str


class MailSender(Protocol):
    """Gets a mail on its way."""

    async def send(self, mail: Mail) -> None:
        """Hand the mail over; raises OSError (smtplib's errors are some) if that did not succeed."""
        ...


class SmtpMail:
    """Sends through a mail server: `smtp://user:password@host:587` (STARTTLS) or `smtps://…:465` (TLS).

    Without TLS it speaks to the loopback only: links in mails open accounts.
    """

    def __init__(self, url: str, sender: str) -> None:
        """ValueError if the address is not one; nothing connects yet."""
        parts = urlsplit(url)
        if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
            raise ValueError("it must be smtp://host:port or smtps://host:port")
        self._tls = parts.scheme == "smtps"
        self._host = parts.hostname
        self._port = parts.port or (465 if self._tls else 587)
        self._user = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password or "")
        self._sender = sender

    async def send(self, mail: Mail) -> None:
        """Send in a thread: smtplib blocks."""
        await asyncio.to_thread(self._send, mail)

    def _send(self, mail: Mail) -> None:
        context = ssl.create_default_context()
        if self._tls:
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                self._host, self._port, timeout=_TIMEOUT_S, context=context
            )
        else:
            server = smtplib.SMTP(self._host, self._port, timeout=_TIMEOUT_S)
        with server:
            if not self._tls and not _is_loopback(self._host):
                server.starttls(context=context)  # raises if the server has none: never in the clear
            if self._user is not None:
                server.login(self._user, self._password)
            server.send_message(_message(mail, self._sender))


class OutboxMail:
    """Writes each mail to a file that only its owner may read, for development and small installations."""

    def __init__(self, directory: Path) -> None:
        """The directory is made with the first mail."""
        self._directory = directory

    async def send(self, mail: Mail) -> None:
        """Write the file and say in the log where it is; the log never has the mail itself."""
        path = await asyncio.to_thread(self._write, mail)
        log.info("no mail server is set; the mail is in a file", kind=mail.kind, path=str(path))

    def _write(self, mail: Mail) -> Path:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._directory / f"{uuid7()}.eml"
        new = path.with_suffix(".new")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(_message(mail, "DeepSpace <deepspace@localhost>").as_bytes())
        new.replace(path)
        return path


class PostOffice:
    """Takes mails and sends them behind the request's back, so that no answer's time tells whether a mail
    was sent. A mail that does not go out in three tries is given up and logged: every mail can be asked for
    again."""

    def __init__(self, sender: MailSender, *, pause_s: float = 5) -> None:
        """Send through `sender`; after a failure wait `pause_s` seconds, then twice as long."""
        self._sender = sender
        self._pause_s = pause_s
        self._sending: set[asyncio.Task[None]] = set()

    def post(self, mail: Mail) -> None:
        """Take a mail."""
        if len(self._sending) >= _MAX_WAITING:
            log.error("mail not sent: too many wait", kind=mail.kind)
            return
        task = asyncio.create_task(self._deliver(mail))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def close(self, within_s: float = 5) -> None:
        """Let what is under way finish, then give up."""
        if self._sending:
            _, late = await asyncio.wait(self._sending, timeout=within_s)
            for task in late:
                task.cancel()

    async def _deliver(self, mail: Mail) -> None:
        for number in range(1, _TRIES + 1):
            try:
                await self._sender.send(mail)
                log.info("mail sent", kind=mail.kind)
                return
            except (OSError, ValueError) as error:  # ValueError: no mail can be made of it
                # The server's own words could repeat the mail; its kind of error says enough.
                log.warning("mail not sent", kind=mail.kind, try_number=number, error=type(error).__name__)
            if number < _TRIES:
                await asyncio.sleep(self._pause_s * number)
        log.error("mail given up", kind=mail.kind)


def _message(mail: Mail, sender: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = sender
    message["To"] = mail.to
    message["Subject"] = mail.subject
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain="deepspace.invalid")
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday notices, please
    message.set_content(mail.body)
    return message


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
