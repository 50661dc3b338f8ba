"""An edge of a graph captured live, and replayed offline to the first row that differs."""
