from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from app.task.letters import Letter, dead_letters, late_letters
from operators.inputs.progress import LATE_SCHEMA
from schemas.letters import DeadLetter, LateLetter
from tests.stage.blocks import block_of
from topics.block import TopicPartition
from topics.wire import DeadRow

SOURCE = TopicPartition("tidemark.quote", 2)
BLOCK = block_of([(b"A", b"first", 10), (b"B", b"second", 11), (b"C", b"third", 15)])
ALL = np.arange(3, dtype=np.int64)


def late(*rows: tuple[int, int, int]) -> pa.RecordBatch:
    """Late rows given as (offset, index, lateness), below the frontier 1,000."""
    columns = [
        [offset for offset, _, _ in rows],
        [index for _, index, _ in rows],
        [1_000 - lateness for _, _, lateness in rows],
        [lateness for _, _, lateness in rows],
        [1_000 for _ in rows],
    ]
    typed = [pa.array(c, f.type) for c, f in zip(columns, LATE_SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(typed, schema=LATE_SCHEMA)


def values(letters: Sequence[Letter]) -> list[bytes | None]:
    return [letter.original.value for letter in letters]


def test_late_rows_of_one_message_go_in_one_letter_that_names_them() -> None:
    letters = list(late_letters(late((11, 0, 7), (11, 2, 9), (15, 1, 3)), "quote", SOURCE, BLOCK, ALL))
    assert values(letters) == [b"second", b"third"]
    assert [LateLetter.from_kafka(letter.headers) for letter in letters] == [
        LateLetter(
            stream="quote",
            topic="tidemark.quote",
            partition=2,
            offset=offset,
            indexes=indexes,
            lateness_ns=lateness_ns,
            frontier_ns=1_000,
        )
        for offset, indexes, lateness_ns in ((11, (0, 2), 9), (15, (1,), 3))
    ]


def test_a_late_letter_is_found_among_the_messages_of_its_partition_alone() -> None:
    """A block holds messages of many partitions; those of this one are its second and third."""
    (letter,) = late_letters(late((15, 0, 1)), "quote", SOURCE, BLOCK, ALL[1:])
    assert letter.original.value == b"third"


def test_dead_rows_of_one_message_and_reason_go_in_one_letter() -> None:
    dead = [DeadRow(0, 3, "null price"), DeadRow(0, 5, "null price"), DeadRow(2, -1, "not Avro")]
    letters = list(dead_letters(dead, SOURCE, BLOCK))
    assert values(letters) == [b"first", b"third"]
    headers = [DeadLetter.from_kafka(letter.headers) for letter in letters]
    assert [(told.offset, told.reason, told.indexes) for told in headers] == [
        (10, "null price", (3, 5)),
        (15, "not Avro", ()),
    ]


def test_what_a_letter_says_of_itself_names_topic_partition_and_offset() -> None:
    (letter,) = dead_letters([DeadRow(2, -1, "not Avro")], SOURCE, BLOCK)
    assert letter.describe() == "tidemark.quote[2]@15 is dead: not Avro"
