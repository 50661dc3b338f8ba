"""The pure core: columns in, columns and effects out; no clock, no I/O, no randomness."""
