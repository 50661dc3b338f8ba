"""The RocksDB edge: what a task must not lose between two starts, as a cache with an offset."""
