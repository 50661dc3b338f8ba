"""What one task's store may use of memory and disk."""

from dataclasses import dataclass

_MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class StateLimits:
    """Sizes in bytes; a worker has one store per task, so everything is small.

    Memory per store: `memtable_size * memtables_max + block_cache_size`, 16 MiB as set.  Disk per store:
    about 1.1 times the live entries, as much again while a compaction rewrites them, and
    `wal_size_max + 2 * log_size_max` beside: 18 MiB as set.
    """

    memtable_size: int = 4 * _MIB  # rewritten entries of busy symbols meet here and reach disk once
    memtables_max: int = 2  # one filling, one on its way to disk
    wal_size_max: int = 16 * _MIB  # read again at start after a crash: well under a second
    block_cache_size: int = 8 * _MIB  # a scan at start, and key look-ups at a checkpoint: no hot set to keep
    table_size: int = 8 * _MIB  # bounds what one compaction step rewrites
    level_size_base: int = 32 * _MIB  # the first sorted level; each next holds ten times as much
    log_size_max: int = 1 * _MIB  # RocksDB's own diary; two are kept
    open_files_max: int = 64  # eight tasks stay far below a usual limit of 1,024 files
    background_jobs: int = 2  # one writes a memtable out while the other compacts
    sync: bool = False  # no fsync: the state is a cache, after a power loss it is rebuilt from the log

    def __post_init__(self) -> None:
        for name in self.__slots__:
            assert name == "sync" or getattr(self, name) > 0, f"{name} must be positive"
        assert self.memtables_max >= 2, "with one memtable every write waits for the disk"
        assert self.background_jobs >= 2, "writing memtables out needs a job that no compaction holds"
