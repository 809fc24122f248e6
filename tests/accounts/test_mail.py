"""Mails: what they say, and how they leave."""

from __future__ import annotations

import asyncio
import email
import email.policy
import ssl
import string
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from deepspace.accounts.mail import Mail, OutboxMail, PostOffice, SmtpMail
from deepspace.accounts.mail_texts import PAGES, TEXTS, MailTexts

MAIL = Mail("reset_password", "ada@example.org", "设置新密码", "Hello\n\nhttps://x.example/#token=abc\n")


class SmtpServer:
    """As much of a mail server as smtplib needs (RFC 5321), with TLS from the first byte or none."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        """Serve in the running loop."""
        self.context = context
        self.mails: list[bytes] = []
        self.credentials: list[str] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Speak with one client."""
        writer.write(b"220 test ESMTP\r\n")
        while line := await reader.readline():
            verb = line[:4].upper()
            if verb == b"EHLO":
                writer.write(b"250-test\r\n250 AUTH PLAIN\r\n")
            elif verb == b"AUTH":
                self.credentials.append(line.decode().strip())
                writer.write(b"235 welcome\r\n")
            elif verb == b"DATA":
                writer.write(b"354 go on\r\n")
                self.mails.append(await reader.readuntil(b"\r\n.\r\n"))
                writer.write(b"250 taken\r\n")
            elif verb == b"QUIT":
                writer.write(b"221 bye\r\n")
                break
            else:
                writer.write(b"250 fine\r\n")
        writer.close()

    async def __aenter__(self) -> SmtpServer:
        self._server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=self.context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()


@pytest.fixture
async def server() -> AsyncIterator[SmtpServer]:
    """A mail server on the loopback."""
    async with SmtpServer() as running:
        yield running


def certificate(directory: Path) -> Path:
    """Write a key and a certificate for localhost that nobody has signed but itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = directory / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


async def test_a_mail_reaches_the_server_whole(server: SmtpServer) -> None:
    url = f"smtp://deepspace:p%40ss@127.0.0.1:{server.port}"
    await SmtpMail(url, "DeepSpace <deepspace@example.org>").send(MAIL)
    message = email.message_from_bytes(server.mails[0].removesuffix(b".\r\n"), policy=email.policy.default)
    assert (message["To"], message["Subject"]) == (MAIL.to, MAIL.subject)
    assert message["From"] == "DeepSpace <deepspace@example.org>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content().split() == MAIL.body.split()
    assert server.credentials


async def test_a_mail_server_whose_certificate_nobody_vouches_for_gets_no_mail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    async with SmtpServer(context) as server:
        sender = SmtpMail(f"smtps://localhost:{server.port}", "deepspace@example.org")
        with pytest.raises(OSError, match="certificate"):
            await sender.send(MAIL)
        assert server.mails == []
        monkeypatch.setenv("SSL_CERT_FILE", str(path))  # now the operator vouches for it
        await sender.send(MAIL)
        assert len(server.mails) == 1


@pytest.mark.parametrize("url", ["", "http://x", "smtp://", "mail.example.org", "smtp:mail"])
def test_an_address_that_is_no_mail_server_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(ValueError, match="smtp"):
        SmtpMail(url, "deepspace@example.org")


async def test_the_outbox_writes_a_private_file(tmp_path: Path) -> None:
    await OutboxMail(tmp_path / "outbox").send(MAIL)
    [path] = (tmp_path / "outbox").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "outbox").stat().st_mode & 0o777 == 0o700


async def test_a_mail_that_does_not_leave_is_tried_again_and_then_given_up() -> None:
    class Broken:
        """A mail server that is away."""

        tries = 0

        async def send(self, mail: Mail) -> None:
            """Fail."""
            self.tries += 1
            raise ConnectionRefusedError(mail.body)

    broken = Broken()
    office = PostOffice(broken, pause_s=0)
    office.post(MAIL)
    await office.close()
    assert broken.tries == 3


def test_every_mail_exists_in_every_language_with_the_same_blanks() -> None:
    assert set(TEXTS) == {"en-US", "zh-CN"}
    blanks = {
        locale: {
            kind: sorted(name for _, name, _, _ in string.Formatter().parse(body) if name)
            for kind, (_, body) in texts.items()
        }
        for locale, texts in TEXTS.items()
    }
    assert blanks["en-US"] == blanks["zh-CN"]
    assert set(PAGES) == set(TEXTS["en-US"])


@given(name=st.text(max_size=300), locale=st.sampled_from(["en-US", "zh-CN", "fr-FR", ""]))
def test_a_name_brings_no_line_and_no_address_into_a_mail(name: str, locale: str) -> None:
    texts = MailTexts("https://deepspace.example/")
    mail = texts.write("reset_password", to="a@b.example", name=name, locale=locale, token="abc")
    plain = texts.write("reset_password", to="a@b.example", name="Ada", locale=locale, token="abc")
    assert mail.body.count("\n") == plain.body.count("\n")
    assert mail.body.count("://") == 1
    assert mail.body.count("@") == 0
    assert "https://deepspace.example/reset-password#token=abc\n" in mail.body
