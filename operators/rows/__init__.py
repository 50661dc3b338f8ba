"""Rows in memory as growing columns: what waits, in which order, and groups as numbers."""
