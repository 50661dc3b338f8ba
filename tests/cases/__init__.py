"""Small inputs of public bug reports, from `../shared/cases`: each script checks one kind and ends with 0."""
