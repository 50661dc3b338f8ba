"""The streaming as-of join: what waits, what it may match, and what a restart needs of both."""
