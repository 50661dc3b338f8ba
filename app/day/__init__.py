"""One day end to end: history, topics, workers, aligned rows, audit and summary."""
