"""Forms with files: what is read is what is there, and nothing else of it changes."""

from __future__ import annotations

from email import message_from_bytes

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deepspace.gateway.dialect import InvalidRequest
from deepspace.gateway.openai.multipart import read_form

BOUNDARY = "b0und-ary"
KIND = f"multipart/form-data; boundary={BOUNDARY}"

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""The machine may be busy."""

_names = st.sampled_from(["model", "prompt", "n", "user", "stream"])
_fields = st.dictionaries(_names, st.text(max_size=20), max_size=4)
_files = st.lists(st.tuples(st.sampled_from(["file", "image[]"]), st.binary(max_size=60)), max_size=3)


def form(texts: dict[str, bytes], files: list[tuple[str, bytes]]) -> bytes:
    """Return a form."""
    parts = [(f'name="{name}"', value) for name, value in texts.items()]
    parts += [(f'name="{name}"; filename="a b.png"', value) for name, value in files]
    pieces = [
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + value + b"\r\n"
        for head, value in parts
    ]
    return b"".join([*pieces, f"--{BOUNDARY}--\r\n".encode()])


@unhurried
@given(_fields, _files)
def test_what_is_read_is_what_was_written_and_only_what_is_replaced_changes(
    fields: dict[str, str], files: list[tuple[str, bytes]]
) -> None:
    fields = fields or {"model": "m"}
    texts = {name: value.encode() for name, value in fields.items()}
    body = form(texts, files)
    read = read_form(body, KIND)
    assert read.texts() == fields
    assert [body[part.start : part.end] for part in read.files] == [value for _, value in files]
    assert read.with_texts({}) == read.with_texts(read.texts()) == body
    changed = {"model": "another/名", "absent": "x"}
    expected = {name: changed.get(name, value).encode() for name, value in fields.items()}
    assert read.with_texts(changed) == form(expected, files)


@unhurried
@given(st.data())
def test_a_form_that_is_damaged_is_refused_or_read_as_another_parser_reads_it(data: st.DataObject) -> None:
    whole = form({"model": b"m", "prompt": b"a fox"}, [("image", b"\x89PNG\r\n\x00")])
    at = data.draw(st.integers(0, len(whole)))
    cut = data.draw(st.integers(0, 6))
    body = whole[:at] + data.draw(st.binary(max_size=3)) + whole[at + cut :]
    try:
        read = read_form(body, KIND)
        texts = read.texts()
    except InvalidRequest:
        return
    other = message_from_bytes(f"content-type: {KIND}\r\n\r\n".encode() + body).get_payload()
    assert isinstance(other, list)
    found = {part.get_param("name", header="content-disposition"): part for part in other}
    for name, text in texts.items():
        payload = found[name].get_payload(decode=True)
        assert isinstance(payload, bytes)
        assert payload.decode(errors="replace").splitlines() == text.splitlines()


@pytest.mark.parametrize(
    "kind", [None, "", "application/json", "multipart/form-data", "multipart/form-data; boundary="]
)
def test_a_form_without_a_boundary_is_none(kind: str | None) -> None:
    with pytest.raises(InvalidRequest):
        read_form(form({"model": b"m"}, []), kind)
