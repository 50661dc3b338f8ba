"""Figures and advice in words that a person would choose."""

NS_UNITS = (("s", 1e9), ("ms", 1e6), ("µs", 1e3), ("ns", 1.0))


def duration(ns: int | None) -> str:
    """A duration in the unit a person would choose."""
    if ns is None:
        return "none"
    for unit, size in NS_UNITS:
        if abs(ns) >= size:
            return f"{ns / size:,.4g} {unit}"
    return "0 ns"


def copy_advice(topic: str, partitions: int) -> str:
    """What to do about an input that is not co-partitioned, as a sentence with the command."""
    return (
        "Make a co-partitioned copy and name it as that stream's topic: python -m app topics repartition "
        f"--from {topic} --to {topic}-repartitioned --partitions {partitions} --config FILE, with your "
        "settings as FILE. A copy holds what is there now: producers that go on have to use that partitioner"
    )
