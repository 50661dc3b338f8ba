"""Bars: rows that sum up a symbol's trades, each closed by time, by a count or by what was traded."""
