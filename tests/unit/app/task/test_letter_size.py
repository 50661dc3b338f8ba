"""A letter that is larger than its topic takes keeps what fits, and says what was cut."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import RunError
from app.task.letter_size import letter_message
from app.task.letters import RUNS_MAX, Letter, dead_letters, late_letters
from operators.inputs.progress import LATE_SCHEMA
from schemas.letter_cut import Cut
from schemas.letters import DeadLetter, LateLetter, original_headers
from tests.stage.blocks import block_of
from topics.block import Original, TopicPartition
from topics.bus import MessageLimit
from topics.message_size import message_size
from topics.wire import DeadRow

SOURCE = TopicPartition("tidemark.quote", 2)
ABOUT = DeadLetter(topic="tidemark.quote", partition=2, offset=17, reason="not Avro", error="DeadRow")
NESTED = [("tidemark-value-cut", b"3"), *ABOUT.to_kafka(), ("tidemark-key-cut", b"4")]


def sent(original: Original, size: int) -> Original:
    letter = Letter("dead", SOURCE, 17, original, ABOUT, "not Avro")
    return letter_message(letter, MessageLimit(size, "max.message.bytes of the topic"))


@given(
    key=st.one_of(st.none(), st.binary(max_size=3_000)),
    value=st.one_of(st.none(), st.binary(max_size=3_000)),
    headers=st.lists(
        st.tuples(st.text(max_size=30), st.one_of(st.none(), st.binary(max_size=900))), max_size=3
    ),
    size=st.integers(700, 8_000),
)
def test_a_letter_fits_and_what_it_keeps_is_the_beginning_of_its_message(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes | None]], size: int
) -> None:
    message = sent(Original(key, value, headers, 5), size)
    assert message_size(message.key, message.value, message.headers) <= size
    letter = DeadLetter.from_kafka(message.headers)
    assert (letter.topic, letter.partition, letter.offset) == ("tidemark.quote", 2, 17)
    assert message.timestamp_ms == 5
    for whole, kept, figure in (
        (key, message.key, letter.cut.key_size),
        (value, message.value, letter.cut.value_size),
    ):
        if figure is None:
            assert kept == whole
        else:
            assert whole is not None
            assert kept is not None
            assert len(whole) == figure > len(kept)
            assert whole.startswith(kept)
    if letter.cut.header_count is None:
        assert original_headers(message.headers) == headers
    else:
        assert letter.cut.header_count == len(headers)
        assert original_headers(message.headers) == []


def test_a_letter_that_fits_to_the_byte_is_whole_and_one_byte_more_is_cut() -> None:
    original = Original(b"A", b"x" * 5_000, [("trace", b"1")], 0)
    size = message_size(b"A", original.value, [*original.headers, *ABOUT.to_kafka()])
    assert sent(original, size).value == original.value
    cut = sent(original, size - 1)
    assert DeadLetter.from_kafka(cut.headers).cut == Cut(value_size=5_000)
    assert cut.value is not None
    assert 4_850 < len(cut.value) < 5_000, "most of it is kept"


def test_headers_too_large_go_before_the_key_and_the_value() -> None:
    letter = sent(Original(b"A", b"value", [("trace", b"x" * 5_000)], 0), 2_000)
    assert (letter.key, letter.value) == (b"A", b"value")
    assert DeadLetter.from_kafka(letter.headers).cut == Cut(header_count=1)


def test_a_topic_that_does_not_take_what_names_a_letter_is_named_with_its_setting() -> None:
    with pytest.raises(
        RunError, match=r"tidemark\.quote\[2\]@17 is dead: .* takes 200 \(max\.message\.bytes of"
    ):
        sent(Original(b"A", b"x", [], 0), 200)


def test_cuts_of_a_letter_within_a_letter_are_its_own() -> None:
    assert DeadLetter.from_kafka([*NESTED, *ABOUT.to_kafka()]).cut == Cut()
    assert original_headers([*NESTED, *ABOUT.to_kafka()]) == NESTED
    outer = DeadLetter(topic="t", partition=0, offset=1, reason="r", error="e", cut=Cut(value_size=9))
    assert DeadLetter.from_kafka([*NESTED, *outer.to_kafka()]) == outer
    assert original_headers([*NESTED, *outer.to_kafka()]) == NESTED


def test_rows_too_scattered_for_one_letter_are_named_in_several() -> None:
    count = 2 * RUNS_MAX + 10
    indexes = [2 * n for n in range(count)]
    block = block_of([(b"A", b"block", 10)])
    lateness = [index + 1 for index in indexes]
    columns = [[10] * count, indexes, [1_000 - ns for ns in lateness], lateness, [1_000] * count]
    typed = [pa.array(values, field.type) for values, field in zip(columns, LATE_SCHEMA, strict=True)]
    rows = pa.RecordBatch.from_arrays(typed, schema=LATE_SCHEMA)
    found = [
        LateLetter.from_kafka(letter.headers)
        for letter in late_letters(rows, "quote", SOURCE, block, np.array([0]))
    ]
    assert [index for letter in found for index in letter.indexes] == indexes
    assert [letter.lateness_ns for letter in found] == [letter.indexes[-1] + 1 for letter in found]
    dead = list(dead_letters([DeadRow(0, index, "null") for index in indexes], SOURCE, block))
    assert len(found) == len(dead) == 3
    assert [n for letter in dead for n in DeadLetter.from_kafka(letter.headers).indexes] == indexes


def test_many_neighbouring_rows_are_named_in_a_few_bytes() -> None:
    letter = DeadLetter(
        topic="t", partition=0, offset=1, reason="r", error="e", indexes=(*range(100_000), 100_002)
    )
    assert dict(letter.to_kafka())["tidemark-indexes"] == b"0-99999,100002"
    assert DeadLetter.from_kafka(letter.to_kafka()) == letter
