"""Kept state is small, whole, checked, and refused when it is not ours."""

import struct
import zlib

import pytest

from operators.join.snapshot_format import VERSION, SnapshotError
from operators.operator import Snapshot
from operators.streaming import StreamingAsof
from schemas.stream import Stream
from tests.stage.scenes import QUOTE, advance, bids, make_join, quotes, trades


def busy() -> StreamingAsof:
    """A join with standing quotes of two symbols, a waiting quote and waiting trades."""
    join = make_join(grace_ns={"trade": 100, "quote": 100})
    join.push("quote", quotes((1, "A", 1), (2, "B", 2), (30, "A", 3)))
    join.push("trade", trades((20, "A"), (31, None), (31, "A"), (31, "B")))
    advance(join, 10)
    assert join.seal() is None
    return join


def test_a_restored_join_seals_what_the_first_would_have() -> None:
    join, after = busy(), make_join()
    after.restore(join.snapshot().puts)
    first, second = join.finish(), after.finish()
    assert first is not None
    assert first.equals(second)


def test_every_right_stream_keeps_its_own_symbols() -> None:
    rights = (QUOTE, Stream(name="mark", schema=QUOTE.schema))
    join, after = make_join(rights=rights), make_join(rights=rights)
    join.push("quote", quotes((1, "A", 1), (3, "B", 2)))
    join.push("mark", quotes((2, "A", 3)))
    join.push("trade", trades((5, "A"), (5, "B")))
    after.restore(join.snapshot().puts)
    first, second = join.finish(), after.finish()
    assert first is not None
    assert first.equals(second)
    assert first["mark_bid"].to_pylist() == [3, None]


def test_only_symbols_with_new_rows_are_written_again() -> None:
    join = busy()
    join.snapshot()
    join.push("quote", quotes((40, "B", 4)))
    assert sorted(key for key, _ in join.snapshot().puts) == [b"a\0", b"a\1", b"h", b"l", b"r\0B"]


def test_symbols_that_can_match_no_more_are_deleted() -> None:
    join = make_join(tolerance_ns=5)
    join.push("quote", quotes((1, "A", 1), (10, "B", 2)))
    assert join.snapshot().deletes == []
    advance(join, 12)
    join.seal()
    snapshot = join.snapshot()
    assert snapshot.deletes == [b"r\0A"]
    assert join.snapshot().deletes == []


def test_a_later_snapshot_on_top_of_a_former_restores_the_later_state() -> None:
    join, after = busy(), make_join()
    entries = dict(join.snapshot().puts)
    advance(join, 25)
    assert bids(join.seal()) == [(20, 1)]
    join.push("quote", quotes((31, "B", 5)))
    entries.update(join.snapshot().puts)
    after.restore(entries.items())
    assert bids(after.finish()) == [(31, None), (31, 3), (31, 5)]


def test_a_restored_join_writes_down_only_what_changed_after() -> None:
    after = make_join()
    after.restore(busy().snapshot().puts)
    assert sorted(key for key, _ in after.snapshot().puts) == [b"a\0", b"a\1", b"h", b"l"]


def test_no_entries_are_a_fresh_start() -> None:
    join = make_join()
    join.restore([])
    assert join.caught_up


def test_any_flipped_byte_is_noticed() -> None:
    snapshot = busy().snapshot()
    for place, (key, value) in enumerate(snapshot.puts):
        for at in range(len(value)):
            damaged = value[:at] + bytes([value[at] ^ 0x10]) + value[at + 1 :]
            puts = [*snapshot.puts[:place], (key, damaged), *snapshot.puts[place + 1 :]]
            with pytest.raises(SnapshotError):
                make_join().restore(puts)


def test_a_lost_entry_is_noticed() -> None:
    snapshot = busy().snapshot()
    for place in range(len(snapshot.puts)):
        with pytest.raises(SnapshotError):
            make_join().restore([*snapshot.puts[:place], *snapshot.puts[place + 1 :]])


def test_an_entry_that_is_not_ours_is_refused() -> None:
    with pytest.raises(SnapshotError, match="does not write"):
        make_join().restore([*busy().snapshot().puts, (b"x", b"")])


def test_a_short_value_with_a_good_checksum_is_refused() -> None:
    puts = dict(busy().snapshot().puts)
    payload = puts[b"l"][5:-1]
    puts[b"l"] = struct.pack("<BI", VERSION, zlib.crc32(payload)) + payload
    with pytest.raises(SnapshotError, match="cannot be read"):
        make_join().restore(puts.items())


def test_a_foreign_version_is_named() -> None:
    def of_version_one(snapshot: Snapshot) -> list[tuple[bytes, bytes]]:
        return [(key, b"\1" + value[1:]) for key, value in snapshot.puts]

    with pytest.raises(SnapshotError, match=f"version 1, this program reads {VERSION}"):
        make_join().restore(of_version_one(busy().snapshot()))


def test_state_of_another_join_is_refused() -> None:
    with pytest.raises(SnapshotError, match="another join"):
        make_join(tolerance_ns=7).restore(busy().snapshot().puts)


def test_a_refused_state_leaves_the_join_as_new() -> None:
    join = make_join()
    with pytest.raises(SnapshotError):
        join.restore([(b"h", b"")])
    join.push("trade", trades((1, "A")))
    assert bids(join.finish()) == [(1, None)]
