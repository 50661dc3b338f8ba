"""The graph: from tables of settings to nodes in order, and the nodes of one task at work."""
