"""Figures in words that a person would choose."""

NS_UNITS = (("s", 1e9), ("ms", 1e6), ("µs", 1e3), ("ns", 1.0))


def duration(ns: int | None) -> str:
    """A duration in the unit a person would choose."""
    if ns is None:
        return "none"
    for unit, size in NS_UNITS:
        if abs(ns) >= size:
            return f"{ns / size:,.4g} {unit}"
    return "0 ns"
