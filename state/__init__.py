"""The RocksDB edge: what a task would otherwise read again at its start, as a cache with an offset."""
