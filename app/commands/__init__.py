"""The commands of `python -m app`, a file each, without logic of their own."""
