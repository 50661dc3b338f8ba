"""RocksDB as we use it: raw bytes, small, its errors told apart by name.

The library raises bare `Exception` with RocksDB's status as text, so the text is all there is to go by.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rocksdict import (
    BlockBasedOptions,
    Cache,
    DbClosedError,
    DBCompressionType,
    DBRecoveryMode,
    Options,
    WriteOptions,
)

from state.errors import StateCorruptError, StateDiskError, StateError, StateLockedError
from state.limits import StateLimits


def rocks_options(limits: StateLimits) -> Options:
    """Return the options of a task's store.

    Raw mode always: in the default mode the library unpickles what it reads.  Point-in-time recovery drops
    a torn tail of the write-ahead log; what is left is an earlier checkpoint with its own offsets.
    """
    table = BlockBasedOptions()
    table.set_block_cache(Cache(limits.block_cache_size))
    table.set_bloom_filter(10, False)  # most entries put at a checkpoint exist; the new ones skip the read
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_block_based_table_factory(table)
    options.set_paranoid_checks(True)
    options.set_wal_recovery_mode(DBRecoveryMode.point_in_time())
    options.set_compression_type(DBCompressionType.lz4())
    options.set_write_buffer_size(limits.memtable_size)
    options.set_max_write_buffer_number(limits.memtables_max)
    options.set_max_total_wal_size(limits.wal_size_max)
    options.set_target_file_size_base(limits.table_size)
    options.set_max_bytes_for_level_base(limits.level_size_base)
    options.set_level_compaction_dynamic_level_bytes(True)
    options.set_max_open_files(limits.open_files_max)
    options.set_max_background_jobs(limits.background_jobs)
    options.set_max_log_file_size(limits.log_size_max)
    options.set_keep_log_file_num(2)
    options.set_max_manifest_file_size(limits.log_size_max)
    options.set_manifest_preallocation_size(64 << 10)
    options.set_stats_dump_period_sec(0)
    options.set_stats_persist_period_sec(0)
    return options


def write_options(limits: StateLimits) -> WriteOptions:
    """Return how a checkpoint is written: through the write-ahead log, and to the platter if so set."""
    options = WriteOptions()
    options.sync = limits.sync
    return options


@contextmanager
def named_errors(path: Path, deed: str) -> Iterator[None]:
    """Raise the library's errors as ours, with the path and the operation."""
    try:
        yield
    except (StateError, AssertionError, DbClosedError):
        raise
    except Exception as raised:
        raise _named(str(raised), path, deed) from raised


def _named(text: str, path: Path, deed: str) -> StateError:
    """The named error for RocksDB's status `text`.

    A file that the manifest names and the folder lacks is damage, though RocksDB may call it an IO error.
    """
    if "LOCK" in text and "lock" in text:
        return StateLockedError(
            f"{path} is open already: another worker with the same state folder, or a scan not yet ended. "
            f"Stop it or choose another folder ({text})"
        )
    damaged = "Corruption" in text or "No such file" in text
    if not damaged and ("IO error" in text or "os error" in text):
        return StateDiskError(
            f"the disk refuses to {deed} {path}: {text}. Make room or repair it, then start again"
        )
    return StateCorruptError(f"cannot {deed} {path}: {text}")
