"""What a header says of a message's schema: each form that serializers write, and what is none of them."""

from uuid import UUID

import numpy as np
import pytest

from tests.stage.blocks import headed_block
from topics.block import Headers, MessageBlock
from topics.schema_header import (
    APICURIO,
    CONFLUENT,
    MISSING,
    SchemaHeader,
    framing_hints,
    read_schema_headers,
    with_schema_header,
)

GUID = UUID("36e446cc-bc4c-4442-b38a-da463eec6ca5")
CONTENT_ID, GLOBAL_ID = APICURIO
ID_7 = b"\0\0\0\0\x07"


def block_with(*headers: Headers) -> MessageBlock:
    """A block of messages that differ in their headers."""
    return headed_block(*[(b"v", own) for own in headers])


def said(header: str, value: bytes | None) -> SchemaHeader | str:
    """What one header says, or why it says nothing."""
    read = read_schema_headers(block_with([(header, value)]), np.arange(1))
    assert read.code.tolist() == [0]
    return read.read[0] if read.read else read.bad[0]


@pytest.mark.parametrize(
    ("header", "value", "name", "rest"),
    [
        (CONFLUENT, b"\1" + GUID.bytes, str(GUID), b""),
        (CONFLUENT, b"\1" + GUID.bytes + b"\x02\x02", str(GUID), b"\x02\x02"),
        (CONFLUENT, ID_7, 7, b""),
        (CONFLUENT, b"\0\xff\xff\xff\xff\0", 2**32 - 1, b"\0"),
        (CONTENT_ID, bytes(7) + b"\x07", 7, None),
        (GLOBAL_ID, b"\0\0\0\0\xff\xff\xff\xff", 2**32 - 1, None),
    ],
)
def test_a_header_names_a_schema(header: str, value: bytes, name: int | str, rest: bytes | None) -> None:
    assert said(header, value) == SchemaHeader(name, rest)


@pytest.mark.parametrize(
    ("header", "value", "words"),
    [
        (CONFLUENT, None, "it is null"),
        (CONFLUENT, b"", "it is empty"),
        (CONFLUENT, b"7", "it begins with 37, not with the byte 0 (an id) or 1 (a GUID)"),
        (CONFLUENT, b"\2" + bytes(40), "it begins with 02 00"),
        (CONFLUENT, ID_7[:-1], "00 00 00 00 is shorter than the 5 bytes"),
        (CONFLUENT, b"\1" + GUID.bytes[:-1], "is shorter than the 17 bytes"),
        (GLOBAL_ID, None, "it is null"),
        (GLOBAL_ID, b"", "is not 8 bytes"),
        (CONTENT_ID, ID_7, "00 00 00 00 07 is not 8 bytes"),
        (CONTENT_ID, b"\0\0\0\1\0\0\0\0", "the id 4294967296 does not fit 4 bytes"),
        (GLOBAL_ID, b"\xff" * 8, "the id -1 does not fit 4 bytes"),
    ],
)
def test_a_header_that_names_none_says_what_is_wrong(header: str, value: bytes | None, words: str) -> None:
    reason = said(header, value)
    assert isinstance(reason, str)
    assert reason.startswith(f"its header {header} names no schema: ")
    assert words in reason
    assert len(reason) < 250


def test_equal_headers_are_read_once_and_messages_without_have_none() -> None:
    block = block_with(
        [("trace", b"1"), (CONFLUENT, ID_7)],
        [],
        [(GLOBAL_ID, bytes(7) + b"\x07")],
        [(CONFLUENT, b"?"), (CONFLUENT, ID_7)],  # of several the last one
        [(CONFLUENT, None)],
        [(GLOBAL_ID, bytes(8)), (CONFLUENT, b"\0\0\0\0\x08")],  # Confluent's own before another
        [("__key_schema_id", ID_7)],
    )
    read = read_schema_headers(block, np.arange(7))
    assert read.code.tolist() == [0, -1, 3, 0, 1, 2, -1]
    assert {number: header.name for number, header in read.read.items()} == {0: 7, 2: 8, 3: 7}
    assert list(read.bad) == [1]
    some = read_schema_headers(block, np.array([1, 5]))
    assert some.code.tolist() == [-1, 0]
    assert read_schema_headers(block, np.arange(0)).code.size == 0


def test_a_header_of_any_size_is_looked_at_in_part() -> None:
    reason = said(CONFLUENT, b"\x05" * 1_000_000)
    assert isinstance(reason, str)
    assert len(reason) < 250
    header = said(CONFLUENT, ID_7 + bytes(1_000_000))
    assert isinstance(header, SchemaHeader)
    assert header.rest is not None
    assert len(header.rest) < 2_000


def test_who_has_a_header_is_told_what_to_say() -> None:
    block = block_with([], [(CONFLUENT, b"?")], [(GLOBAL_ID, b"")], [("x", b"")])
    assert with_schema_header(block, np.arange(4)).tolist() == [1, 2]
    assert with_schema_header(block, np.array([0, 3])).tolist() == []
    hints = framing_hints(block, np.array([0, 1, 2]))
    assert list(hints) == [1, 2]
    assert hints[1] == f'; its header {CONFLUENT} names a schema: say framing = "header"'
    assert CONFLUENT in MISSING
