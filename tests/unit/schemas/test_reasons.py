"""Counts of nulls on the wire: what is written is read, and what is no count is refused."""

import pytest

from schemas.frame import NULLS, FrameError, FrameHeaders
from schemas.reasons import COUNT_MAX, REASONS, decode_nulls, encode_nulls, nulls_size_max, summed_nulls

HEADERS = FrameHeaders(layout="0" * 16, complete_ns=5, rows=3, released_ns=1, sealed_ns=2, newest_ns=4)
COUNTED = {"vol": {"warming": 2, "domain": 1}, "größe": {"null_in": 3}}


def with_nulls(text: bytes) -> list[tuple[str, bytes | None]]:
    return [*HEADERS.to_kafka(), (NULLS, text)]


def test_what_is_written_is_read_and_is_ascii() -> None:
    assert encode_nulls(COUNTED).isascii()
    assert decode_nulls(encode_nulls(COUNTED)) == COUNTED
    assert FrameHeaders.from_kafka(with_nulls(encode_nulls(COUNTED))).nulls == COUNTED


def test_a_frame_without_nulls_says_so_and_one_from_before_says_nothing() -> None:
    assert FrameHeaders.from_kafka(HEADERS.to_kafka()).nulls is None
    assert FrameHeaders.from_kafka(with_nulls(encode_nulls({}))).nulls == {}


@pytest.mark.parametrize(
    "text", [b"", b"7", b"{", b'{"x":3}', b'{"x":{"ok":0}}', b'{"x":{"ok":true}}', b"\xff", b'{"x":' * 5_000]
)
def test_what_is_no_count_is_refused_and_a_reason_of_a_newer_worker_is_not(text: bytes) -> None:
    with pytest.raises(FrameError, match="a header is malformed"):
        FrameHeaders.from_kafka(with_nulls(text))
    assert decode_nulls(b'{"x":{"newer":1}}') == {"x": {"newer": 1}}


def test_no_header_is_longer_than_the_room_that_is_kept_for_it() -> None:
    full = {name: dict.fromkeys(REASONS[1:], COUNT_MAX) for name in COUNTED}
    assert len(encode_nulls(full)) == nulls_size_max(COUNTED)
    assert len(encode_nulls(COUNTED)) < nulls_size_max(COUNTED)
    assert nulls_size_max(()) == len(b"{}")


def test_counts_of_several_frames_add_up() -> None:
    assert summed_nulls([COUNTED, {}, {"vol": {"warming": 1, "null_in": 4}}]) == {
        "vol": {"warming": 3, "domain": 1, "null_in": 4},
        "größe": {"null_in": 3},
    }
