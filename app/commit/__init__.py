"""Sends what was sealed, and makes rows and offsets true at once."""
