"""A pipeline set back to its beginning: what that deletes, and deleting it."""
