"""Raw column segments: the format, and reading it to where its columns are wanted."""
