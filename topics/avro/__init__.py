"""Avro bytes to Arrow columns and back, by programs compiled from schemas."""
