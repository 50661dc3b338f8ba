"""Builds every object of a pipeline from its settings."""
