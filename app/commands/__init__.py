"""The commands of `python -m app`, a file for each group, without logic of their own."""
