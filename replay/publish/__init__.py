"""The way out of the history: streams merged in time order, paced, packed and published."""
