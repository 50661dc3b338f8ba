"""Nodes that call a function: rows are cut into tiles of event time, and each tile runs with its context."""
