"""Forms with files (multipart/form-data, RFC 7578 and RFC 2046, 5.1), read where they lie: the bytes go on as
they came, so what could be read in two ways is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from deepspace.gateway.dialect import InvalidRequest

MAX_PARTS = 200
MAX_HEAD_BYTES = 4096
MAX_TEXT_BYTES = 256 * 1024

_KIND = re.compile(r'multipart/form-data\s*;\s*boundary=(?:"([^"]+)"|([^\s;"]+))\s*', re.IGNORECASE)
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=?-]{1,70}")
_DISPOSITION = re.compile(
    rb'form-data\s*;\s*name=(?:"([\w.\[\]-]{1,100})"|([\w.-]{1,100}))\s*(;\s*filename\*?=[^\r\n]*)?',
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Part:
    """One field: its value lies at body[start:end]."""

    name: str
    is_file: bool
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Form:
    """A form and its fields, in order."""

    body: bytes
    boundary: str
    parts: tuple[Part, ...]

    @property
    def content_type(self) -> str:
        """Return its media type."""
        return f'multipart/form-data; boundary="{self.boundary}"'

    @property
    def fingerprint(self) -> bytes:
        """Return what the same form has in common with this one, whatever its boundary."""
        return self.body.replace(f"--{self.boundary}".encode(), b"--")

    @property
    def files(self) -> tuple[Part, ...]:
        """Return the files."""
        return tuple(part for part in self.parts if part.is_file)

    def text(self, name: str) -> str | None:
        """Return a field's text, None if it is absent; InvalidRequest if it is there twice, or is no text."""
        part = self._only(name)
        if part is None:
            return None
        try:
            return self.body[part.start : part.end].decode()
        except UnicodeDecodeError:
            raise InvalidRequest(f"'{name}' is not UTF-8.", param=name) from None

    def texts(self) -> dict[str, str]:
        """Return every text that is there once; InvalidRequest if one is not UTF-8."""
        names = [part.name for part in self.parts if not part.is_file and not part.name.endswith("[]")]
        return {name: self.text(name) or "" for name in names}

    def with_texts(self, texts: Mapping[str, str]) -> bytes:
        """Return the form with these texts in the place of the client's; every other byte is the client's."""
        pieces: list[bytes] = []
        at = 0
        for part in self.parts:
            if not part.is_file and part.name in texts:
                pieces += [self.body[at : part.start], texts[part.name].encode()]
                at = part.end
        return b"".join([*pieces, self.body[at:]])

    def _only(self, name: str) -> Part | None:
        found = [part for part in self.parts if part.name == name]
        if not found:
            return None
        if len(found) > 1 or found[0].is_file or found[0].end - found[0].start > MAX_TEXT_BYTES:
            raise InvalidRequest(f"'{name}' must be there once, as a short text.", param=name)
        return found[0]


def is_form(content_type: str | None) -> bool:
    """Tell whether a request states that it is a form with files."""
    return content_type is not None and content_type.lstrip().lower().startswith("multipart/form-data")


def read_form(body: bytes, content_type: str | None) -> Form:
    """Read a form; InvalidRequest says what is wrong with it."""
    kind = _KIND.fullmatch((content_type or "").strip())
    boundary = (kind[1] or kind[2]) if kind is not None else ""
    if not _BOUNDARY.fullmatch(boundary):
        raise InvalidRequest("The body must be multipart/form-data with a boundary.")
    opening, delimiter = f"--{boundary}\r\n".encode(), f"\r\n--{boundary}".encode()
    if not body.startswith(opening):
        raise InvalidRequest("The form does not begin with its boundary.")
    parts: list[Part] = []
    at = len(opening)
    while True:
        end = body.find(delimiter, at)
        if end < 0 or len(parts) >= MAX_PARTS:
            raise InvalidRequest("The form has no end, or too many parts.")
        parts.append(_part(body, at, end))
        at = end + len(delimiter)
        if body[at : at + 2] == b"--":
            if body[at + 2 :] not in {b"", b"\r\n"}:
                raise InvalidRequest("There is something behind the form's end.")
            return Form(body, boundary, tuple(parts))
        if body[at : at + 2] != b"\r\n":
            raise InvalidRequest("The form's boundary stands within a part.")
        at += 2


def _part(body: bytes, start: int, end: int) -> Part:
    blank = body.find(b"\r\n\r\n", start, min(end, start + MAX_HEAD_BYTES))
    if blank < 0:
        raise InvalidRequest("A part of the form has no head.")
    fields: dict[bytes, bytes] = {}
    for line in body[start:blank].split(b"\r\n"):
        name, colon, value = line.partition(b":")
        key = name.lower()
        if not colon or key in fields or b"\r" in line or b"\n" in line or b"\0" in line:
            raise InvalidRequest("The head of a part of the form is not valid.")
        fields[key] = value.strip()
    named = _DISPOSITION.fullmatch(fields.get(b"content-disposition", b""))
    if named is None:
        raise InvalidRequest("A part of the form has no name.")
    if fields.get(b"content-transfer-encoding", b"binary").lower() not in {b"binary", b"8bit", b"7bit"}:
        raise InvalidRequest("A part of the form is encoded; send its bytes as they are.")
    return Part((named[1] or named[2]).decode(), named[3] is not None, blank + 4, end)
