"""A store that is rewritten for days stays as small as what lives in it."""

from contextlib import suppress
from pathlib import Path

from tests.stage.task_state import TINY, checkpoint_at, entry, opened

ENTRIES = 200
ROUNDS = 250


def disk_size(path: Path) -> int:
    size = 0
    for file in path.iterdir():
        with suppress(FileNotFoundError):  # compaction deletes files meanwhile
            size += file.stat().st_size if file.suffix in (".sst", ".log") else 0
    return size


def test_files_and_bytes_stay_bounded_however_many_checkpoints_are_written(tmp_path: Path) -> None:
    live_size = sum(len(key) + len(value) for key, value in (entry(0, place) for place in range(ENTRIES)))
    most_size, most_files = 0, 0
    with opened(tmp_path) as store:
        for number in range(1, ROUNDS + 1):
            # The busy half is rewritten each time; entries of a moment come and go beside it.
            puts = [(entry(0, place)[0], entry(number, place)[1]) for place in range(number % 2, ENTRIES, 2)]
            gone = [b"moment/%05d" % (number - 1)] if number > 1 else []
            store.write(checkpoint_at(number), [*puts, (b"moment/%05d" % number, b"x")], gone)
            most_size = max(most_size, disk_size(tmp_path))
            most_files = max(most_files, len(list(tmp_path.iterdir())))
        assert len(list(store.entries())) == ENTRIES + 1
    assert ROUNDS * live_size // 2 > 5 * most_size, "what was written in all is many times what was ever held"
    assert most_size < 3 * live_size + TINY.wal_size_max // 8 + 8 * TINY.memtable_size
    assert most_files < 40
    with opened(tmp_path) as store:
        assert store.checkpoint is not None
        assert store.checkpoint.txn_count == ROUNDS
