"""The lock of a graph: what each feature means, by name and version, so that none changes under its name."""
