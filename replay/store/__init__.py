"""History on disk: days of rows, what they hold, and how they are measured."""
