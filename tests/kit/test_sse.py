"""The SSE scanner: however the bytes are cut, the events are the same."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepspace.kit.sse import EventTooLarge, SseEvent, SseScanner, encode_event, parse_event

BOM = b"\xef\xbb\xbf"

# One line of an event, in every form providers were seen to write: with a space after the colon and without,
# comments, other fields, an empty value, multibyte text.
words = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=8)
lines = st.one_of(
    words.map(lambda text: f"data: {text}"),
    words.map(lambda text: f"data:{text}"),
    words.map(lambda text: f": {text}"),
    words.map(lambda text: f"event: {text}"),
    words.map(lambda text: f"id: {text}"),
    st.just("data"),
    st.just("retry: 10"),
)
events = st.lists(lines, min_size=1, max_size=4)
ends = st.sampled_from(["\n", "\r\n", "\r"])


def write(blocks: list[list[str]], end: str, bom: bool) -> bytes:
    """Write a stream."""
    body = "".join("".join(line + end for line in block) + end for block in blocks)
    return (BOM if bom else b"") + body.encode()


def read(pieces: list[bytes]) -> tuple[list[SseEvent], SseEvent | None]:
    """Feed a stream piece by piece."""
    scanner = SseScanner()
    return [event for piece in pieces for event in scanner.feed(piece)], scanner.finish()


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    """Cut a stream at places."""
    marks = sorted({place % (len(stream) + 1) for place in places} | {0, len(stream)})
    return [stream[a:b] for a, b in itertools.pairwise(marks)]


@given(st.lists(events, max_size=5), ends, st.booleans(), st.lists(st.integers(0, 10_000), max_size=12))
def test_any_cut_of_any_stream_gives_the_same_events(
    blocks: list[list[str]],
    end: str,
    bom: bool,
    places: list[int],
) -> None:
    stream = write(blocks, end, bom)
    whole, rest_of_whole = read([stream])
    pieces, rest_of_pieces = read(cut(stream, places))
    assert pieces == whole
    assert rest_of_pieces == rest_of_whole


@given(st.lists(events, min_size=1, max_size=5), ends)
def test_a_stream_cut_into_single_bytes_gives_the_same_events(blocks: list[list[str]], end: str) -> None:
    stream = write(blocks, end, bom=False)
    assert read([bytes([byte]) for byte in stream]) == read([stream])


@given(st.lists(events, min_size=1, max_size=5), ends, st.booleans())
def test_what_is_passed_on_is_what_came_byte_for_byte(
    blocks: list[list[str]],
    end: str,
    bom: bool,
) -> None:
    stream = write(blocks, end, bom)
    found, rest = read([stream])
    passed = b"".join(event.raw for event in found) + (rest.raw if rest is not None else b"")
    # A CR at the very end may be half of a CRLF, so the last event may wait for `finish`, which drops one
    # that says nothing.
    assert stream.removeprefix(BOM).startswith(passed)
    if end != "\r":
        assert passed == stream.removeprefix(BOM)


@given(st.lists(events, min_size=1, max_size=5), ends)
def test_the_data_of_an_event_is_what_the_specification_says(blocks: list[list[str]], end: str) -> None:
    """An independent reading of the same lines (WHATWG HTML, section 9.2.6)."""
    found, rest = read([write(blocks, end, bom=False)])
    expected: list[bytes] = []
    for block in blocks:
        data = [
            line.partition(":")[2].removeprefix(" ") for line in block if line.partition(":")[0] == "data"
        ]
        expected.append("\n".join(data).encode())
    heard = [event.data for event in found] + ([rest.data] if rest is not None else [])
    if rest is None and end == "\r" and len(heard) < len(expected):
        assert not expected.pop()  # the event that waited said nothing
    assert heard == expected


def test_a_multibyte_character_cut_in_two_is_whole_again() -> None:
    stream = 'data: {"content":"词😀"}\n\n'.encode()
    for place in range(len(stream)):
        [event], rest = read([stream[:place], stream[place:]])
        assert event.data.decode() == '{"content":"词😀"}'
        assert rest is None


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_a_blank_line_between_events_may_be_of_any_kind(end: bytes) -> None:
    found, rest = read([b"data: a" + end + end, b"data: b" + end + end, b"data: c" + end + end])
    heard = [event.data for event in found] + ([rest.data] if rest is not None else [])
    assert heard == [b"a", b"b", b"c"]


def test_an_event_without_its_blank_line_is_found_at_the_end() -> None:
    found, rest = read([b"data: a\n\ndata: b"])
    assert [event.data for event in found] == [b"a"]
    assert rest == SseEvent(b"data: b", b"b", b"")


def test_a_comment_at_the_end_is_nothing() -> None:
    assert read([b"data: a\n\n: ping"]) == ([SseEvent(b"data: a\n\n", b"a", b"")], None)


def test_several_data_lines_are_one_payload() -> None:
    event = parse_event(b"event: message\ndata: a\ndata:  b\ndata:c\nid: 7\n\n")
    assert (event.data, event.name) == (b"a\n b\nc", b"message")


def test_an_event_over_the_limit_is_refused_before_it_is_whole() -> None:
    scanner = SseScanner(max_event_bytes=100)
    assert scanner.feed(b"data: " + b"x" * 90) == []
    with pytest.raises(EventTooLarge):
        scanner.feed(b"x" * 20)


def test_many_events_in_one_piece_are_not_one_event_over_the_limit() -> None:
    scanner = SseScanner(max_event_bytes=100)
    assert len(scanner.feed(b"data: x\n\n" * 1000)) == 1000


def test_a_long_event_in_many_pieces_is_scanned_once_and_not_once_a_piece() -> None:
    """Quadratic work on a stream of single bytes would take minutes here."""
    scanner = SseScanner()
    for _ in range(2000):
        assert scanner.feed(b"data: " + b"x" * 50 + b"\n") == []
    [event] = scanner.feed(b"\n")
    assert event.data.count(b"\n") == 1999


@given(st.binary(max_size=50).filter(lambda data: b"\n" not in data and b"\r" not in data), st.just(b"error"))
def test_an_encoded_event_is_read_back(data: bytes, name: bytes) -> None:
    [event], _ = read([encode_event(data, name)])
    assert (event.data, event.name) == (data, name)
    [plain], _ = read([encode_event(data)])
    assert (plain.data, plain.name) == (data, b"")
