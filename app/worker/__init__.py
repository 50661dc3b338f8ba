"""The worker's loop, and which tasks are its own."""
