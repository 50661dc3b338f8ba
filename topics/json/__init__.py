"""JSON messages: objects, or arrays of them, read into columns by a kernel."""
