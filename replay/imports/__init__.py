"""Files that somebody else wrote come into the history here."""
