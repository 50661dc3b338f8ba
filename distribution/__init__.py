"""What others install: the folders of this repository below one name, `tidemark`."""
