"""Topics read back from outside the group."""
