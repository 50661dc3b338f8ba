"""Features that see other rows, each by its definition: per row what it may see, and the formula."""
