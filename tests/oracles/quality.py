"""What is wrong with rows, said a row at a time from lists of what came before."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

Price = float | None


def median_slowly(values: Sequence[float]) -> float:
    """R36: the middle one, or the lower of two and half of the difference."""
    ordered = sorted(values)
    lower = ordered[(len(ordered) - 1) // 2]
    upper = ordered[len(ordered) // 2]
    return lower if len(ordered) % 2 else lower + (upper - lower) * 0.5


def is_outlier_slowly(before: Sequence[float], price: float) -> bool:
    """D6, in ticks, of a price and all that came before it."""
    window = before[-50:]
    if len(window) < 10:
        return False
    middle = median_slowly(window)
    deviation = median_slowly([abs(value - middle) for value in window])
    return abs(price - middle) > 10.0 * max(1.4826 * deviation, 1.0)


def is_wide_slowly(before: Sequence[float], spread: float) -> bool:
    """D5, in ticks, of a spread and all uncrossed ones before it."""
    window = before[-500:]
    if len(window) < 50:
        return False
    return spread > 50.0 * (median_slowly(window) or 1.0)


def quote_flags_slowly(rows: Sequence[tuple[str, Price, Price, Price, Price]]) -> list[set[str]]:
    """What is wrong with quotes: symbol, bid, ask in ticks, and their sizes."""
    prices: Mapping[tuple[str, str], list[float]] = defaultdict(list)
    spreads: Mapping[str, list[float]] = defaultdict(list)
    flags = []
    for symbol, bid, ask, bid_size, ask_size in rows:
        wrong = set()
        for side, price, size in (("bid", bid, bid_size), ("ask", ask, ask_size)):
            if price is None:
                continue
            before = prices[symbol, side]
            if is_outlier_slowly(before, price):
                wrong.add("OUTLIER")
            if price <= 0 or (size is not None and size <= 0):
                wrong.add("NOT_POSITIVE")
            before.append(price)
        if bid is not None and ask is not None:
            if bid > ask:
                wrong.add("CROSSED")
            else:
                wrong |= {"LOCKED"} if bid == ask else set()
                wrong |= {"WIDE"} if is_wide_slowly(spreads[symbol], ask - bid) else set()
                spreads[symbol].append(ask - bid)
        flags.append(wrong)
    return flags


def numbers_slowly(rows: Sequence[tuple[int, int]]) -> tuple[dict[str, int], list[tuple[int, int, int, int]]]:
    """D1 of pairs of group and number: the counts, and gaps as group, first, last and row."""
    highest: dict[int, int] = {}
    missing: dict[int, set[int]] = defaultdict(set)
    counts = {"filled": 0, "duplicates": 0}
    gaps = []
    for row, (group, number) in enumerate(rows):
        expected = highest.get(group, number - 1) + 1
        if number > expected:
            gaps.append((group, expected, number - 1, row))
            missing[group] |= set(range(expected, number))
        if number >= expected:
            highest[group] = number
        elif number in missing[group]:
            missing[group].discard(number)
            counts["filled"] += 1
        else:
            counts["duplicates"] += 1
    return {**counts, "gaps": len(gaps), "missing": sum(map(len, missing.values()))}, gaps


def silences_slowly(rows: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """How many silences there are in pairs of group and time (ns), and the longest."""
    last: dict[int, int] = {}
    gaps: Mapping[int, list[float]] = defaultdict(list)
    silent = []
    for group, now_ns in rows:
        if group in last:
            gap = now_ns - last[group]
            window = gaps[group][-50:]
            if gap > 60_000_000_000 and len(window) >= 10 and gap > 100 * median_slowly(window):
                silent.append(gap)
            gaps[group].append(gap)
        last[group] = now_ns
    return len(silent), max(silent, default=0)
