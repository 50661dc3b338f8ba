"""Days of history as shards, side by side, with one commit at the end."""
