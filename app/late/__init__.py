"""Late rows for a person: a line each, a count for each stream, and one letter in full."""
