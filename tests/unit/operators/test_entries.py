"""Entries of several owners in one store: each gets back its own, and nobody what means something else."""

import pytest

from operators.entries import KeptEntries, SnapshotError, owned
from operators.sealed import Snapshot

INPUTS, JOIN, OTHER = "00112233445566aa", "ffffffffffffff00", "0000000000000000"


def stored(*owners: tuple[str, str, dict[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """What a store holds after a snapshot of each owner (name, meaning, entries)."""
    return [
        entry
        for name, meaning, entries in owners
        for entry in owned(name, meaning, Snapshot([*entries.items()], [])).puts
    ]


def test_owners_with_equal_keys_are_told_apart() -> None:
    kept = KeptEntries(stored(("inputs", INPUTS, {b"h": b"1", b"": b"2"}), ("join", JOIN, {b"h": b"3"})))
    assert kept.of("inputs", INPUTS) == [(b"h", b"1"), (b"", b"2")]
    assert kept.of("join", JOIN) == [(b"h", b"3")]


def test_an_owner_whose_name_begins_with_that_of_another_is_told_apart() -> None:
    kept = KeptEntries(stored(("join", JOIN, {b"h": b"1"}), ("joined", JOIN, {b"h": b"2"})))
    assert kept.of("join", JOIN) == [(b"h", b"1")]
    with pytest.raises(SnapshotError, match="no entries of joi:"):
        kept.of("joi", JOIN)


@pytest.mark.parametrize("key", [b"", b"\0", b"\0\0\0", b"inputs\0" + bytes(9), b"r\0" + b"\xff" * 12])
def test_any_bytes_may_be_a_key_of_an_owner(key: bytes) -> None:
    kept = KeptEntries(stored(("inputs", INPUTS, {key: b"1"}), ("join", OTHER, {key: b"2"})))
    assert kept.of("inputs", INPUTS) == [(key, b"1")]
    assert kept.of("join", OTHER) == [(key, b"2")]


def test_what_is_deleted_lies_under_the_keys_it_was_put_under() -> None:
    put = owned("join", JOIN, Snapshot([(b"r", b"1")], []))
    gone = owned("join", JOIN, Snapshot([], [b"r"]))
    assert [key for key, _ in put.puts] == gone.deletes


def test_another_meaning_is_refused_and_both_are_named() -> None:
    kept = KeptEntries(stored(("join", JOIN, {b"h": b"1"})))
    with pytest.raises(SnapshotError, match=rf"join was kept for another meaning \({JOIN}, now {INPUTS}\)"):
        kept.of("join", INPUTS)


def test_an_owner_without_entries_is_told_from_one_of_another_meaning() -> None:
    kept = KeptEntries(stored(("join", JOIN, {b"h": b"1"})))
    with pytest.raises(SnapshotError, match="no entries of inputs: it was not written whole"):
        kept.of("inputs", INPUTS)


@pytest.mark.parametrize(
    "key", [b"", b"h", b"inputs", b"inputs\0", b"inputs\0" + bytes(8), b"inputs\0" + bytes(8) + b"\1h"]
)
def test_a_key_without_an_owner_is_refused(key: bytes) -> None:
    with pytest.raises(SnapshotError, match="no part of this program writes"):
        KeptEntries([*stored(("join", JOIN, {b"h": b"1"})), (key, b"2")])


def test_entries_of_those_who_are_no_owners_are_given_as_they_lie_in_the_store() -> None:
    ours = stored(("inputs", INPUTS, {b"h": b"1"}), ("join", JOIN, {b"h": b"2", b"l": b"3"}))
    foreign = stored(("node", OTHER, {b"h": b"4", b"k": b"5"}), ("join", OTHER, {b"h": b"6"}))
    kept = KeptEntries([*ours, *foreign])
    assert kept.rest({"inputs": INPUTS, "join": JOIN}) == foreign
    assert KeptEntries(ours).rest({"inputs": INPUTS, "join": JOIN}) == []


def test_no_entries_are_told_from_some() -> None:
    assert not KeptEntries([])
    assert KeptEntries(stored(("join", JOIN, {b"": b""})))
