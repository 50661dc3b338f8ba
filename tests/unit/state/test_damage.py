"""Damage on disk never passes for state: every scene ends in a named error or in an earlier checkpoint."""

import shutil
from pathlib import Path

import pytest

from state.errors import StateCorruptError
from state.layout import CHECKPOINT_KEY, entry_key
from state.restore import restore
from state.store import TaskStore
from tests.stage.task_state import (
    IDENTITY,
    TINY,
    checkpoint_at,
    entry,
    flip_byte,
    opened,
    put_raw,
    write_rounds,
)

SHARES = (0.0, 0.2, 0.4, 0.6, 0.8, 0.999)
COMMITTED = {"trade": 6, "quote": 6}


def a_file(path: Path, pattern: str) -> Path:
    """The largest file that matches."""
    return max(path.glob(pattern), key=lambda file: file.stat().st_size)


def read_all(path: Path) -> dict[bytes, bytes]:
    """What a start would take from the store."""
    with opened(path) as store:
        return dict(store.entries())


@pytest.mark.parametrize("share", SHARES)
def test_a_flipped_byte_in_a_table_never_shortens_a_scan_silently(tmp_path: Path, share: float) -> None:
    written = write_rounds(tmp_path, rounds=6)
    flip_byte(a_file(tmp_path, "*.sst"), share)
    try:
        found = read_all(tmp_path)
    except StateCorruptError:
        return
    assert found == written  # the byte lay where nothing is read


def test_a_flipped_byte_in_a_data_block_is_found_at_the_end_of_the_scan(tmp_path: Path) -> None:
    write_rounds(tmp_path, rounds=6)
    flip_byte(a_file(tmp_path, "*.sst"), 0.4)
    with pytest.raises(StateCorruptError, match=f"{tmp_path}.*checksum"):
        read_all(tmp_path)


def test_a_scan_that_met_damage_does_not_keep_the_lock(tmp_path: Path) -> None:
    write_rounds(tmp_path, rounds=6)
    flip_byte(a_file(tmp_path, "*.sst"), 0.4)
    store = TaskStore.open(tmp_path, IDENTITY, TINY)
    with pytest.raises(StateCorruptError) as caught:
        store.verify()
    store.close()
    TaskStore.destroy(tmp_path)
    assert caught.value.__traceback__ is not None  # the error, and all it refers to, was still alive


@pytest.mark.parametrize("share", SHARES)
def test_a_damaged_log_leaves_an_earlier_checkpoint_with_its_own_entries(
    tmp_path: Path, share: float
) -> None:
    written: dict[bytes, bytes] = {}
    with opened(tmp_path / "state") as store:
        for number in range(1, 4):
            puts = [entry(number, place) for place in range(20)]
            store.write(checkpoint_at(number), puts)
            written.update(puts)
        killed = tmp_path / "killed"
        shutil.copytree(store.path, killed)  # what a kill leaves: all three writes in the log alone
    flip_byte(a_file(killed, "*.log"), share)
    with opened(killed) as store:
        reached = store.checkpoint.next_offsets["trade"] if store.checkpoint else 0
        assert reached < 3
        kept = {key: value for key, value in written.items() if int(key[:3]) <= reached}
        assert dict(store.entries()) == kept


@pytest.mark.parametrize("pattern", ["CURRENT", "MANIFEST-*", "*.sst"])
def test_a_deleted_file_is_found_at_opening(tmp_path: Path, pattern: str) -> None:
    write_rounds(tmp_path, rounds=6)
    a_file(tmp_path, pattern).unlink()
    with pytest.raises(StateCorruptError, match="cannot open"):
        TaskStore.open(tmp_path, IDENTITY, TINY)


@pytest.mark.parametrize("pattern", ["CURRENT", "MANIFEST-*"])
@pytest.mark.parametrize("share", SHARES[:-1])
def test_a_flipped_byte_in_the_catalogue_is_found_at_opening(
    tmp_path: Path, pattern: str, share: float
) -> None:
    write_rounds(tmp_path, rounds=6)
    flip_byte(a_file(tmp_path, pattern), share)
    with pytest.raises(StateCorruptError, match="cannot open"):
        TaskStore.open(tmp_path, IDENTITY, TINY)


@pytest.mark.parametrize("pattern", ["CURRENT", "MANIFEST-*", "*.sst", "OPTIONS-*", "IDENTITY"])
@pytest.mark.parametrize("share", [0.1, 0.5])
def test_a_restore_after_any_damage_gives_a_store_to_go_on_with(
    tmp_path: Path, pattern: str, share: float
) -> None:
    written = write_rounds(tmp_path, rounds=6)
    flip_byte(a_file(tmp_path, pattern), share)
    restored = restore(tmp_path, IDENTITY, COMMITTED, TINY)
    found = dict(restored.store.entries())
    restored.store.close()
    assert str(tmp_path) in restored.reason
    reached = restored.checkpoint.next_offsets["trade"] if restored.checkpoint else 0
    assert found == {key: value for key, value in written.items() if int(key[:3]) <= reached}


def test_an_entry_more_than_was_counted_is_damage(tmp_path: Path) -> None:
    write_rounds(tmp_path, rounds=1, entries_each=3)
    put_raw(tmp_path, entry_key(b"smuggled"), b"in")
    with pytest.raises(StateCorruptError, match="has 4 entries, its checkpoint counted 3"):
        read_all(tmp_path)


def test_entries_without_a_checkpoint_are_damage(tmp_path: Path) -> None:
    put_raw(tmp_path, entry_key(b"orphan"), b"row")
    with pytest.raises(StateCorruptError, match="has 1 entries, its checkpoint counted 0"):
        TaskStore.open(tmp_path, IDENTITY)


def test_a_checkpoint_that_fails_its_checksum_is_damage(tmp_path: Path) -> None:
    put_raw(tmp_path, CHECKPOINT_KEY, b"\x02\x00\x00\x00\x00{}")
    with pytest.raises(StateCorruptError, match="checksum"):
        TaskStore.open(tmp_path, IDENTITY)
