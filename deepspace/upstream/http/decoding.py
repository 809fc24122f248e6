"""Answers that come compressed although `identity` was asked for (RFC 9110, 8.4 and 12.5.3)."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from deepspace.upstream.errors import UpstreamError

PIECE_BYTES = 64 * 1024

_GZIP_WINDOW = 16 + zlib.MAX_WBITS


class Gunzip:
    """Undoes gzip in pieces of at most PIECE_BYTES, so that a small answer cannot become a huge one at
    once."""

    def __init__(self) -> None:
        """Begin a body."""
        self._inflate = zlib.decompressobj(_GZIP_WINDOW)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what is known of the text after `data`; UpstreamError if it is not gzip."""
        try:
            while data:
                piece = self._inflate.decompress(data, PIECE_BYTES)
                if piece:
                    yield piece
                data = self._inflate.unconsumed_tail
                if self._inflate.eof:  # another member may follow (RFC 1952, 2.2)
                    data = self._inflate.unused_data
                    if data:
                        self._inflate = zlib.decompressobj(_GZIP_WINDOW)
        except zlib.error as error:
            raise UpstreamError("The provider's answer is compressed and does not unpack.") from error

    def finish(self) -> bytes:
        """Return what is left at the end of the body; UpstreamError if it stopped short."""
        rest = self._inflate.flush()
        if not self._inflate.eof:
            raise UpstreamError("The provider's answer is compressed and stops short.")
        return rest


def decoder_for(content_encoding: str | None) -> Gunzip | None:
    """Return what undoes a content coding; None if there is nothing to undo, UpstreamError if we cannot."""
    coding = (content_encoding or "identity").strip().lower()
    if coding == "identity":
        return None
    if coding in {"gzip", "x-gzip"}:
        return Gunzip()
    raise UpstreamError(f"The provider's answer is compressed ({coding[:50]!a}), which was not asked for.")
