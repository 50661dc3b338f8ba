"""The formula language: from text to typed steps with a meaning; it never sees a row."""
