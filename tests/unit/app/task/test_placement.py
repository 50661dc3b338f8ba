"""Where rows of one group lie: by the message key, and by the columns where that can be read in two ways."""

import numpy as np
import pyarrow as pa
import pytest

from app.errors import RunError
from app.task.placement import Placement
from schemas.batch import Batch
from schemas.stream import message_keys
from topics.partitioner import partition_of

PARTITIONS = 4
KEY = ("venue", "symbol")
ROW = pa.record_batch({"venue": ["OTC:US"], "symbol": ["ABC"]})
ESCAPED = message_keys(ROW, KEY)[0].as_py()
UNESCAPED = b"OTC:US:ABC"


def _rows(key: bytes, columns: pa.RecordBatch = ROW) -> Batch:
    count = columns.num_rows
    return Batch(
        columns=columns,
        time_ns=np.arange(count),
        sequence=np.zeros(count, np.int64),
        offset=np.arange(count),
        index=np.zeros(count, np.int32),
        key_code=np.zeros(count, np.int32),
        keys=pa.array([key], pa.binary()),
    )


def _placement(key: bytes) -> Placement:
    at = partition_of(key, PARTITIONS)
    return Placement(stream="quote", topic="t", partition=at, partitions=PARTITIONS, key=KEY)


def test_a_message_key_that_the_columns_do_not_make_is_refused_where_its_group_lies_elsewhere() -> None:
    assert partition_of(UNESCAPED, PARTITIONS) != partition_of(ESCAPED, PARTITIONS)
    with pytest.raises(RunError, match=r"The columns venue, symbol make .* backslash before it"):
        _placement(UNESCAPED).require(_rows(UNESCAPED))


def test_the_key_that_the_columns_make_is_taken_in_its_partition() -> None:
    _placement(ESCAPED).require(_rows(ESCAPED))
    with pytest.raises(RunError, match="topics repartition"):
        _placement(UNESCAPED).require(_rows(ESCAPED))


def test_columns_are_not_looked_at_where_a_message_key_has_one_meaning() -> None:
    other = pa.record_batch({"venue": ["never"], "symbol": ["read"]})
    _placement(b"NYSE:ABC").require(_rows(b"NYSE:ABC", other))
