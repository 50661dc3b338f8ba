"""Topics on their way into the history, each row once."""
