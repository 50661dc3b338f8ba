"""A synthetic market, and the days made of it."""
