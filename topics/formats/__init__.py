"""Which decoder reads a stream, by what its settings say of its messages."""
