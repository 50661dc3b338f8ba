"""The laws of a task's store while nothing is damaged."""

from pathlib import Path

import pytest

from state.errors import StateDiskError, StateForeignError, StateLockedError
from state.layout import CHECKPOINT_KEY
from state.store import TaskStore
from tests.stage.task_state import IDENTITY, checkpoint_at, entry, opened, put_raw, write_rounds


def test_a_new_store_has_no_checkpoint_and_no_entries(tmp_path: Path) -> None:
    with opened(tmp_path / "made" / "on" / "the" / "way") as store:
        assert store.checkpoint is None
        assert list(store.entries()) == []


def test_what_was_written_is_there_after_reopening(tmp_path: Path) -> None:
    written = write_rounds(tmp_path, rounds=5)
    with opened(tmp_path) as store:
        assert dict(store.entries()) == written
        assert store.checkpoint is not None
        assert store.checkpoint.next_offsets == {"trade": 5, "quote": 5}
        assert store.checkpoint.watermarks_ns == {"trade": 5_000, "quote": 5_005}
        assert store.checkpoint.frontier_ns == 5_000


def test_entries_come_in_key_order(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.write(checkpoint_at(1), [(b"b", b"2"), (b"", b"0"), (b"a", b"1"), (b"\xff", b"3")])
        assert [value for _, value in store.entries()] == [b"0", b"1", b"2", b"3"]


def test_the_count_is_of_distinct_entries_that_are_left(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        first = store.write(checkpoint_at(1), [(b"a", b"1"), (b"b", b"1"), (b"a", b"2")])
        second = store.write(checkpoint_at(2), [(b"b", b"2"), (b"c", b"2")], [b"a", b"a", b"never there"])
        assert (first.entries, second.entries) == (2, 2)
        assert dict(store.entries()) == {b"b": b"2", b"c": b"2"}


def test_a_put_outlives_a_delete_of_the_same_write(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        assert store.write(checkpoint_at(1), [(b"a", b"new")], [b"a"]).entries == 1
        assert dict(store.entries()) == {b"a": b"new"}


def test_the_store_numbers_its_checkpoints_over_restarts(tmp_path: Path) -> None:
    write_rounds(tmp_path, rounds=3, entries_each=1)
    with opened(tmp_path) as store:
        assert store.write(checkpoint_at(4)).txn_count == 4


def test_a_second_opener_is_told_that_the_store_is_open(tmp_path: Path) -> None:
    with opened(tmp_path), pytest.raises(StateLockedError, match="open already"):
        TaskStore.open(tmp_path, IDENTITY)


def test_an_open_store_cannot_be_destroyed(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.write(checkpoint_at(1), [(b"a", b"1")])
        with pytest.raises(StateLockedError):
            TaskStore.destroy(tmp_path)
        assert dict(store.entries()) == {b"a": b"1"}


def test_a_scan_under_way_does_not_keep_the_lock(tmp_path: Path) -> None:
    write_rounds(tmp_path, rounds=1)
    store = TaskStore.open(tmp_path, IDENTITY)
    scan = store.entries()
    next(scan)
    store.close()
    with opened(tmp_path) as again:
        assert again.checkpoint is not None
    assert list(scan) == []  # it lived until here


def test_another_identity_is_refused_with_both(tmp_path: Path) -> None:
    write_rounds(tmp_path, rounds=1, entries_each=1)
    with pytest.raises(StateForeignError, match=r"partition 3/run 1'.*partition 4/run 1"):
        TaskStore.open(tmp_path, "trades+quotes/partition 4/run 1")
    with opened(tmp_path) as store:  # and the refusal let go of the lock
        assert store.checkpoint is not None


def test_another_version_is_refused(tmp_path: Path) -> None:
    put_raw(tmp_path, CHECKPOINT_KEY, b"\x09....{}")
    with pytest.raises(StateForeignError, match="version 9"):
        TaskStore.open(tmp_path, IDENTITY)


def test_destroying_leaves_files_of_others_alone(tmp_path: Path) -> None:
    write_rounds(tmp_path, rounds=3)
    (tmp_path / "notes.txt").write_text("mine")
    TaskStore.destroy(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]


def test_destroying_nothing_is_done_at_once(tmp_path: Path) -> None:
    TaskStore.destroy(tmp_path / "never made")
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(StateDiskError, match="cannot make the state folder"):
        TaskStore.open(tmp_path / "state", IDENTITY)


def test_rewriting_the_same_entries_keeps_the_disk_bounded(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        for number in range(200):
            store.write(checkpoint_at(number), [(b"%05d" % p, entry(number, p)[1]) for p in range(50)])
    sizes = [file.stat().st_size for file in tmp_path.iterdir() if file.suffix == ".sst"]
    assert sum(sizes) < 1 << 20  # 10,000 entries of 200 bytes were written, 50 are alive
