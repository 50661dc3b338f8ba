"""A topic copied so that it is co-partitioned: each key where the partitioner wants it, exactly once."""
