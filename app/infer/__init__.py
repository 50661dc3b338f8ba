"""A topic of somebody else looked at: what its messages are, and the settings that would read them."""
