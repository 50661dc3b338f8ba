"""Fuzzing that follows coverage: what strangers send, against what must hold of it."""
