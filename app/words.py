"""Figures and advice in words that a person would choose."""

from collections.abc import Sequence

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


def table_lines(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = ()
) -> list[str]:
    """A table as a line for its header and one for each row, columns named in `right` flush right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = []
    for cells in (header, *rows):
        padded = [
            cell.rjust(width) if name in right else cell.ljust(width)
            for name, cell, width in zip(header, cells, widths, strict=True)
        ]
        lines.append("  ".join(padded).rstrip())
    return lines
