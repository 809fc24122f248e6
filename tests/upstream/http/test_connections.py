"""Connections are used again when that is safe, and only then; a request is never sent twice."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import ssl
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from deepspace.upstream.errors import UpstreamUnavailable
from tests.support.connect_proxy import connect_proxy
from tests.upstream.http.provider import OK, Talk, answering, client, post, provider, whole

ANSWER = OK + b"content-length: 2\r\n\r\nhi"


async def test_a_request_says_what_it_must_and_nothing_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("all_proxy", "http://127.0.0.1:1")
    async with provider(answering(ANSWER)) as made, client() as http:
        await whole(await post(http, made.route(), b'{"a":"\xc3\xa4"}'))
        [talk] = made.requests
        assert talk.body == b'{"a":"\xc3\xa4"}'
        assert talk.head.split(b"\r\n") == [
            b"POST /v1/chat/completions HTTP/1.1",
            b"host: localhost:%d" % made.port,
            b"user-agent: deepspace-gateway",
            b"accept-encoding: identity",
            b"content-type: application/json",
            b"authorization: Bearer sk-test",
            b"accept: application/json",
            b"content-length: 10",
            b"",
            b"",
        ]
        await whole(await post(http, replace(made.route(), api_key=None)))
        assert b"authorization" not in made.requests[1].head


async def test_calls_one_after_the_other_share_a_connection_and_concurrent_ones_do_not() -> None:
    async with provider(answering(ANSWER, pause_s=0.01)) as made, client() as http:
        for _ in range(3):
            assert await whole(await post(http, made.route())) == b"hi"
        assert made.connections == 1
        answers = await asyncio.gather(*(post(http, made.route()) for _ in range(5)))
        assert [await whole(answer) for answer in answers] == [b"hi"] * 5
        assert made.connections <= 6


@pytest.mark.parametrize(
    "said",
    [
        OK + b"connection: close\r\ncontent-length: 2\r\n\r\nhi",
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi",
        ANSWER + b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nsmugg",
        ANSWER + b"noise",
        OK + b"keep-alive: timeout=1\r\ncontent-length: 2\r\n\r\nhi",
    ],
    ids=["close", "http/1.0", "second-answer", "noise", "keep-alive-over"],
)
async def test_a_connection_that_is_not_safe_to_use_again_is_not(said: bytes) -> None:
    async with provider(answering(said)) as made, client() as http:
        for _ in range(3):
            assert await whole(await post(http, made.route())) == b"hi"
            await asyncio.sleep(0.02)
        assert made.connections == 3


async def test_what_a_provider_says_unasked_reaches_no_caller() -> None:
    async def behave(talk: Talk) -> None:
        await talk.say(ANSWER, b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nsmugg", pause_s=0.02)

    async with provider(behave) as made, client() as http:
        for _ in range(3):
            assert await whole(await post(http, made.route())) == b"hi"
            await asyncio.sleep(0.1)
        assert made.connections == 3


async def test_a_connection_the_provider_closed_is_seen_before_anything_is_sent() -> None:
    async with provider(answering(ANSWER)) as made, client() as http:
        for number in range(3):
            assert await whole(await post(http, made.route())) == b"hi"
            made.requests[number].writer.transport.abort() if number else made.requests[number].writer.close()
            await asyncio.sleep(0.02)
        assert made.connections == 3
        assert len(made.requests) == 3


async def test_a_request_that_went_out_on_a_kept_connection_is_not_sent_again() -> None:
    async def behave(talk: Talk) -> None:
        if talk.number == 1:
            await talk.say(ANSWER)
        else:
            talk.reset()  # taken up, and perhaps billed; the answer is lost

    async with provider(behave) as made, client() as http:
        await whole(await post(http, made.route()))
        with pytest.raises(UpstreamUnavailable):
            await post(http, made.route())
        assert len(made.requests) == 2


async def test_an_answer_before_the_request_was_read_is_given_and_the_connection_dropped() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig")
        await writer.drain()
        await asyncio.sleep(0.2)
        writer.transport.abort()
        gone.set()

    gone = asyncio.Event()
    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1024)
    async with provider(answering(ANSWER)) as made, client() as http:
        port = server.sockets[0].getsockname()[1]
        route = replace(made.route(), base_url=f"http://127.0.0.1:{port}")
        answer = await post(http, route, b"x" * 32 * 1024 * 1024)
        assert (answer.status, await whole(answer)) == (413, b"big")
        await gone.wait()
    server.close()
    await asyncio.sleep(0.01)


async def test_never_more_connections_than_the_bound_and_who_waits_gets_the_next() -> None:
    async with provider(answering(ANSWER, pause_s=0.01)) as made, client(connections=2) as http:
        answers = await asyncio.gather(*(_call(http, made.route()) for _ in range(10)))
        assert answers == [b"hi"] * 10
        assert made.connections == 2
        async with provider(answering(ANSWER)) as other:
            assert await whole(await post(http, other.route())) == b"hi"  # an idle one made room


async def test_who_waits_too_long_for_a_connection_is_told() -> None:
    async def behave(talk: Talk) -> None:
        await asyncio.sleep(30)

    async with provider(behave) as made, client(connections=1) as http:
        first = asyncio.create_task(post(http, made.route()))
        await asyncio.sleep(0.05)
        with pytest.raises(UpstreamUnavailable, match="in time"):
            await post(http, made.route(connect_s=0.1))
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)


async def _call(http, route) -> bytes:  # type: ignore[no-untyped-def]
    return await whole(await post(http, route))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    """A server's context for `localhost`, and the file of the certificate that vouches for it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    directory = tmp_path_factory.mktemp("tls")
    path = directory / "cert.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret = directory / "key.pem"
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, secret)
    return context, path


async def test_tls_checks_who_answers(certificate: tuple[ssl.SSLContext, Path]) -> None:
    server, path = certificate
    trusting = ssl.create_default_context(cafile=str(path))
    body = b"x" * 1_000_000
    said = OK + b"content-length: %d\r\n\r\n%b" % (len(body), body)
    async with provider(answering(said), server) as made:
        async with client(trusting) as http:
            for _ in range(3):
                assert await whole(await post(http, made.route())) == body
            assert made.connections == 1
            by_address = replace(
                made.route(), base_url=f"https://{ipaddress.ip_address('127.0.0.1')}:{made.port}"
            )
            with pytest.raises(UpstreamUnavailable):
                await post(http, by_address)
        async with client() as http:
            with pytest.raises(UpstreamUnavailable):
                await post(http, made.route())
        assert len(made.requests) == 3


async def test_tls_goes_through_a_proxy_from_end_to_end(certificate: tuple[ssl.SSLContext, Path]) -> None:
    server, path = certificate
    with connect_proxy("lab", "secret") as proxy:
        async with (
            provider(answering(ANSWER), server) as made,
            client(ssl.create_default_context(cafile=str(path))) as http,
        ):
            through = replace(made.route(), proxy=proxy.url)
            for _ in range(2):
                assert await whole(await post(http, through))
            assert proxy.asked == [f"CONNECT localhost:{made.port}"]
            assert await whole(await post(http, made.route()))
            assert made.connections == 2  # one way is not the other's
            wrong = replace(through, proxy=proxy.url.replace("secret", "guess"))
            with pytest.raises(UpstreamUnavailable):
                await post(http, wrong)


async def test_a_provider_without_tls_is_no_https_provider() -> None:
    async with provider(answering(ANSWER)) as made, client() as http:
        with pytest.raises(UpstreamUnavailable):
            await post(http, replace(made.route(), base_url=f"https://localhost:{made.port}"))
