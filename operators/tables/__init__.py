"""The as-of join of whole tables: keys, times and matches, tile after tile, by several threads."""
