"""Kept state is small, whole, checked, and refused when it is not ours."""

import json
import struct
import zlib
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from operators.entries import SnapshotError
from operators.join.root import AsofRoot
from operators.join.settings import AsofSettings
from operators.rows.groups import Groups
from operators.rows.kept import VERSION, close_value, open_value
from operators.sealed import Snapshot
from operators.streaming import StreamingAsof
from schemas.stream import Stream
from tests.stage.scenes import QUOTE, TRADE, advance, bids, make_join, next_life, progress, quotes, trades

INPUTS_KEYS = (b"a\0", b"a\1", b"h")


def busy() -> StreamingAsof:
    """A join with standing quotes of two symbols, a waiting quote and waiting trades."""
    join = make_join(grace_ns={"trade": 100, "quote": 100})
    join.push("quote", quotes((1, "A", 1), (2, "B", 2), (30, "A", 3)))
    join.push("trade", trades((20, "A"), (31, None), (31, "A"), (31, "B")))
    advance(join, 10)
    assert join.seal() is None
    return join


def owned_by(keys: Iterable[bytes]) -> list[tuple[bytes, bytes]]:
    """The owner of each key, and the key as the owner writes it."""
    return sorted((name, rest[9:]) for name, _, rest in (key.partition(b"\0") for key in keys))


def key_of(join: StreamingAsof, owner: bytes, own: bytes) -> bytes:
    """The key under which an owner's entry lies in the store."""
    (key,) = [key for key, _ in join.snapshot().puts if owned_by([key]) == [(owner, own)]]
    return key


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
    rights = [own for _, own in owned_by(key for key, _ in join.snapshot().puts) if own[:1] == b"r"]
    assert rights == [b"r\0B"]


def test_symbols_that_can_match_no_more_are_deleted() -> None:
    join = make_join(tolerance_ns=5)
    join.push("quote", quotes((1, "A", 1), (10, "B", 2)))
    assert join.snapshot().deletes == []
    advance(join, 12)
    join.seal()
    snapshot = join.snapshot()
    assert owned_by(snapshot.deletes) == [(b"aligned", b"r\0A")]
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


def test_rows_that_begin_or_cease_to_wait_are_in_the_next_snapshot_or_gone_from_it() -> None:
    join = make_join()
    entries = dict(join.snapshot().puts)
    join.push("trade", trades((20, "A")))
    held = []
    for upper_ns in (20, 21):
        advance(join, upper_ns)
        join.seal()
        entries.update(join.snapshot().puts)
        after = make_join()
        after.restore(entries.items())
        held.append(after.operator.held("trade").rows)
    assert held == [1, 0]


def test_without_key_columns_the_one_group_is_kept() -> None:
    left, right = (Stream(name=stream.name, schema=stream.schema, key=()) for stream in (TRADE, QUOTE))
    join, after = make_join(left=left, rights=(right,)), make_join(left=left, rights=(right,))
    join.push("quote", quotes((1, "A", 1)))
    after.restore(join.snapshot().puts)
    after.push("trade", trades((2, "B")))
    assert bids(after.finish()) == [(2, 1)]


def test_a_restored_join_writes_down_only_what_changed_after() -> None:
    after = make_join()
    after.restore(busy().snapshot().puts)
    written = owned_by(key for key, _ in after.snapshot().puts)
    assert written == [(b"aligned", b"h"), (b"aligned", b"l"), *((b"inputs", own) for own in INPUTS_KEYS)]
    after.push("quote", quotes((40, "B", 4)))
    again = owned_by(key for key, _ in after.snapshot().puts)
    assert [own for own in again if own not in written] == [(b"aligned", b"r\0B")]


def test_no_entries_are_a_fresh_start() -> None:
    join = make_join()
    join.restore([])
    assert join.inputs.caught_up


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
    with pytest.raises(SnapshotError, match="no part of this program writes"):
        make_join().restore([*busy().snapshot().puts, (b"x", b"")])
    for own in (b"x", b"r", b"r\1A"):
        foreign = key_of(busy(), b"aligned", b"h")[:-1] + own
        with pytest.raises(SnapshotError, match="this join does not write"):
            make_join().restore([*busy().snapshot().puts, (foreign, close_value(b""))])


@pytest.mark.parametrize("own", [(b"aligned", b"l"), (b"aligned", b"r\0A"), (b"inputs", b"a\1")])
def test_a_short_value_with_a_good_checksum_is_refused(own: tuple[bytes, bytes]) -> None:
    puts, key = dict(busy().snapshot().puts), key_of(busy(), *own)
    payload = puts[key][5:-1]
    puts[key] = struct.pack("<BI", VERSION, zlib.crc32(payload)) + payload
    with pytest.raises(SnapshotError, match="cannot be read"):
        make_join().restore(puts.items())


def test_a_foreign_version_is_named() -> None:
    def of_version_one(snapshot: Snapshot) -> list[tuple[bytes, bytes]]:
        return [(key, b"\1" + value[1:]) for key, value in snapshot.puts]

    with pytest.raises(SnapshotError, match=f"version 1, this program reads {VERSION}"):
        make_join().restore(of_version_one(busy().snapshot()))


def test_state_of_another_join_is_refused() -> None:
    with pytest.raises(SnapshotError, match="the state of aligned was kept for another meaning"):
        make_join(tolerance_ns=7).restore(busy().snapshot().puts)
    with pytest.raises(SnapshotError, match="the state of inputs was kept for another meaning"):
        make_join(carry="column").restore(busy().snapshot().puts)


def test_a_refused_state_leaves_the_join_as_new() -> None:
    join = make_join()
    with pytest.raises(SnapshotError):
        join.restore([(b"h", b"")])
    join.push("trade", trades((1, "A")))
    assert bids(join.finish()) == [(1, None)]


def test_a_refused_state_leaves_the_root_as_new() -> None:
    asked = AsofSettings(left=TRADE, rights=(QUOTE,))
    entries = [
        (own, value)
        for key, value in busy().snapshot().puts
        for owner, own in owned_by([key])
        if owner == b"aligned"
    ]
    fresh, refused = (AsofRoot(asked, Groups()) for _ in range(2))
    for place in range(len(entries)):
        with pytest.raises(SnapshotError):
            refused.restore([*entries[:place], *entries[place + 1 :]])
    assert refused.snapshot() == fresh.snapshot()
    refused.restore(entries)
    assert refused.held("trade").rows == 4


def test_entries_of_a_node_that_is_no_more_are_passed_over_and_deleted_with_the_next_snapshot() -> None:
    gone = [(b"median\0" + bytes(8) + b"\0" + key, b"anything") for key in (b"A", b"B")]
    join = busy()
    after = next_life(join, state=True, beside=gone)
    assert after.operator.inputs.caught_up
    assert after.snapshot().deletes == [key for key, _ in gone]
    assert after.snapshot().deletes == []
    assert bids(after.finish()) == bids(join.finish())


def with_header(owner: bytes, change: Callable[[Any], object]) -> dict[bytes, bytes]:
    """The entries of a snapshot, of which one owner's header was changed."""
    puts, key = dict(busy().snapshot().puts), key_of(busy(), owner, b"h")
    header = json.loads(open_value(key, puts[key]))
    change(header)
    return puts | {key: close_value(json.dumps(header).encode())}


@pytest.mark.parametrize("owner", [b"aligned", b"inputs"])
def test_what_a_header_says_beyond_what_is_known_is_passed_over(owner: bytes) -> None:
    def say_more(header: Any) -> None:
        header["more"] = {"later": [1]}
        for one in header.get("inputs", {}).values():
            one["more"] = "later"

    join, after = busy(), make_join()
    after.restore(with_header(owner, say_more).items())
    for stream in join.streams:
        assert progress(after, stream) == progress(join, stream)
    assert bids(after.finish()) == bids(join.finish())


@pytest.mark.parametrize(
    ("owner", "field"),
    [(b"aligned", name) for name in ("frontier_ns", "through", "groups")]
    + [(b"inputs", name) for name in ("frontier_ns", "inputs")],
)
def test_a_header_that_lacks_a_field_is_refused(owner: bytes, field: str) -> None:
    entries = with_header(owner, lambda header: header.pop(field))
    with pytest.raises(SnapshotError, match=field):
        make_join().restore(entries.items())


@pytest.mark.parametrize("field", ["needed_offset", "next_offset", "watermark_ns", "final", "late_from"])
def test_a_header_that_lacks_a_field_of_an_input_is_refused(field: str) -> None:
    entries = with_header(b"inputs", lambda header: header["inputs"]["quote"].pop(field))
    with pytest.raises(SnapshotError, match=field):
        make_join().restore(entries.items())
