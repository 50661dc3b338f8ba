"""JSON messages are read as Python's json reads them, whatever bytes come; to no byte beyond a message."""

import json
import mmap
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles.json_values import Row, Unfit, read_slowly
from tests.property.topics.json_documents import FIELDS, messages, numbers, rows
from tests.stage.blocks import block_of
from tests.stage.guarded import guarded_page
from topics.block import MessageBlock
from topics.json.decode import JsonValues

DECODER = JsonValues(FIELDS)  # one for all, so that what it remembers of one message meets any other
_BYTES = b'{}[]",:\\ue+-.0129ntfNIaE \n\x00\x1f\x7f\x80\xc3\xa9\xed\xff'


def slowly(message: bytes | None) -> list[Row] | None:
    try:
        return read_slowly(message, FIELDS)
    except Unfit:
        return None


def check(given_: Sequence[bytes | None], block: MessageBlock | None = None) -> int:
    """Read messages and compare each with the oracle; return how many gave rows."""
    block = block or block_of([(b"K", message, offset) for offset, message in enumerate(given_)])
    read = DECODER.read(block, np.arange(len(given_)))
    expected = [slowly(message) for message in given_]
    reasons = {row.message: row.reason for row in read.dead}
    alive = [place for place, each in enumerate(expected) if each is not None]
    assert sorted(reasons) == [place for place in range(len(given_)) if place not in alive], (given_, reasons)
    assert read.rows_of.tolist() == [len(each or []) for each in expected]
    assert read.index.tolist() == [number for each in expected for number in range(len(each or []))]
    wanted = [row for each in expected for row in each or []]
    if read.columns is None:
        assert wanted == []
        return 0
    read.columns.validate(full=True)
    found = [list(row.values()) for row in read.columns.to_pylist()]
    assert list(map(repr, found)) == list(map(repr, wanted))  # tells -0.0 from 0.0, and NaN is NaN
    return len(alive)


def _changed(message: bytes, changes: list[tuple[int, int, int]]) -> bytes:
    """Flip, cut out, insert or cut off bytes."""
    changed = bytearray(message)
    for way, place, byte in changes:
        at = place % (len(changed) + 1)
        if way == 0:
            changed[at : at + 1] = bytes([byte])
        elif way == 1:
            del changed[at : at + 1 + byte % 4]
        elif way == 2:
            changed[at:at] = bytes([byte])
        else:
            del changed[at:]
    return bytes(changed)


_byte = st.sampled_from(list(_BYTES)) | st.integers(0, 255)
_changes = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4096), _byte), min_size=1, max_size=3)
hostile = st.builds(_changed, messages(), _changes)


@given(given_=st.lists(messages() | st.none(), min_size=1, max_size=4))
@settings(deadline=None)
def test_messages_are_read_as_python_reads_them(given_: list[bytes | None]) -> None:
    check(given_)


@given(texts=st.lists(numbers, min_size=1, max_size=30), quoted=st.booleans())
@settings(deadline=None)
def test_numbers_are_read_exactly_and_rounded_once(texts: list[str], quoted: bool) -> None:
    keys = ["n", "u", "price", "single", "money", "wei", "small"]
    written = [f'"{text}"' if quoted else text for text in texts]
    check([f'{{"{key}":{text}}}'.encode() for text in written for key in keys])


@given(bits=st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=50))
@settings(deadline=None)
def test_the_shortest_text_of_any_float_is_read_as_that_float(bits: list[int]) -> None:
    floats = np.array(bits, dtype=np.uint64).view(np.float64)
    read = DECODER.read(
        block_of([(b"K", json.dumps({"price": float(each)}).encode(), 0) for each in floats]),
        np.arange(len(bits)),
    )
    assert read.columns is not None
    np.testing.assert_array_equal(read.columns.column("price").to_numpy(zero_copy_only=False), floats)


@given(given_=st.lists(hostile, min_size=1, max_size=4))
@settings(deadline=None)
def test_hostile_bytes_are_dead_or_read_as_python_reads_them(given_: list[bytes]) -> None:
    check(given_)


@given(given_=st.lists(st.lists(_byte, max_size=12).map(bytes), max_size=6))
@settings(deadline=None)
def test_any_bytes_are_dead_or_read_as_python_reads_them(given_: list[bytes]) -> None:
    check(given_)


@given(message=(hostile | messages()).filter(lambda message: len(message) <= mmap.PAGESIZE))
@settings(deadline=None)
def test_nothing_is_read_beyond_the_end_of_a_message(message: bytes) -> None:
    with guarded_page() as page:
        block = block_of([(b"K", message, 0)])
        check([message], replace(block, value=page.at_the_edge(message)))


@given(message=rows().map(str.encode).filter(lambda message: len(message) <= 300))
@settings(deadline=None, max_examples=20)
def test_every_beginning_of_a_message_is_dead_and_not_read_past(message: bytes) -> None:
    with guarded_page() as page:
        for size in range(len(message)):
            block = block_of([(b"K", message[:size], 0)])
            assert check([message[:size]], replace(block, value=page.at_the_edge(message[:size]))) == 0
