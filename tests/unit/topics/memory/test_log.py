"""Laws of the embedded log: the same records however they are kept, bounded by what was dropped."""

import pytest

from topics.memory.log import GROUP_ROWS, PartitionLog


def fill(log: PartitionLog, rows: int, transaction: int = -1) -> None:
    for row in range(rows):
        log.append(key=b"k", value=b"%d" % row, headers=None, timestamp_ms=row, transaction=transaction)


def read_values(log: PartitionLog, offset: int, rows_max: int = 10**9) -> list[bytes | None]:
    parts, _ = log.read(offset, rows_max)
    return [part.original(row).value for part in parts for row in range(part.rows)]


@pytest.mark.parametrize("rows", [1, GROUP_ROWS - 1, GROUP_ROWS, 3 * GROUP_ROWS + 5])
def test_records_read_the_same_from_columns_and_from_lists(rows: int) -> None:
    log = PartitionLog()
    fill(log, rows)
    assert read_values(log, 0) == [b"%d" % row for row in range(rows)]
    assert read_values(log, rows - 1) == [b"%d" % (rows - 1)]
    assert read_values(log, rows) == []


def test_a_read_stops_at_its_limit_across_groups() -> None:
    log = PartitionLog()
    fill(log, 2 * GROUP_ROWS + 10)
    parts, position = log.read(GROUP_ROWS - 3, GROUP_ROWS + 5)
    assert sum(part.rows for part in parts) == GROUP_ROWS + 5
    assert position == 2 * GROUP_ROWS + 2
    assert read_values(log, position, 1) == [b"%d" % position]


def test_a_long_transaction_is_read_once_it_ends() -> None:
    log = PartitionLog()
    fill(log, GROUP_ROWS + 7, transaction=1)
    fill(log, 3)
    assert read_values(log, 0) == []
    assert log.stable == 0
    log.end(1, committed=True)
    assert len(read_values(log, 0)) == GROUP_ROWS + 10
    assert log.stable == log.high == GROUP_ROWS + 11


def test_interleaved_transactions_end_apart() -> None:
    log = PartitionLog()
    for number in range(4):
        log.append(key=None, value=b"%d" % number, headers=None, timestamp_ms=0, transaction=number % 2)
    log.end(1, committed=False)
    assert read_values(log, 0) == []
    log.end(0, committed=True)
    assert read_values(log, 0) == [b"0", b"2"]
    assert log.read(0, 10)[1] == log.high == 6


def test_what_is_deleted_raises_the_low_offset_and_the_rest_stays() -> None:
    log = PartitionLog()
    fill(log, GROUP_ROWS + 10)
    log.delete_before(GROUP_ROWS + 4)
    assert log.low == GROUP_ROWS + 4
    assert read_values(log, log.low) == [b"%d" % row for row in range(GROUP_ROWS + 4, GROUP_ROWS + 10)]
    log.delete_before(3)
    assert log.low == GROUP_ROWS + 4


def test_deleting_never_reaches_into_an_open_transaction() -> None:
    log = PartitionLog()
    fill(log, 2)
    fill(log, 2, transaction=1)
    log.delete_before(4)
    assert log.low == 2
    log.end(1, committed=True)
    assert read_values(log, 2) == [b"0", b"1"]
