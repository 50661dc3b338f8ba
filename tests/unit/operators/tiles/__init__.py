"""Nodes that call a function."""
