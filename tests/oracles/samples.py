"""What overlapping labels weigh and how they are split, by the definitions L10 to L16, slowly."""

from collections import Counter
from collections.abc import Sequence

Spans = Sequence[tuple[int, int]]


def sum4(values: Sequence[float]) -> float:
    """Four lanes, value i in lane i mod 4."""
    lanes = [0.0] * 4
    for number, value in enumerate(values):
        lanes[number % 4] += value
    return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3])


def labels_of_bars(spans: Spans, bars: int) -> list[int]:
    """L10: how many labels have each bar among theirs."""
    return [sum(first <= bar <= last for first, last in spans) for bar in range(bars)]


def uniqueness_of_bars(spans: Spans) -> list[float]:
    """L10: the mean of 1 / labels over the bars of each label."""
    labels = labels_of_bars(spans, 1 + max((last for _, last in spans), default=-1))
    return [sum4([1.0 / labels[bar] for bar in range(a, b + 1)]) / (b - a + 1) for a, b in spans]


def own_returns(returns: Sequence[float], spans: Spans) -> list[float]:
    """L12 before it is scaled: the absolute sum of return / labels."""
    labels = labels_of_bars(spans, len(returns))
    return [abs(sum4([returns[bar] / labels[bar] for bar in range(a, b + 1)])) for a, b in spans]


def uniqueness_of_time(spans: Spans) -> list[float]:
    """L11, a nanosecond at a time."""
    answer = []
    for start, end in spans:
        if start == end:
            answer.append(1.0)
            continue
        shared = Counter(sum(s < ns <= e for s, e in spans) for ns in range(start + 1, end + 1))
        answer.append(sum4([count / labels for labels, count in sorted(shared.items())]) / (end - start))
    return answer


def folds_slowly(starts: Sequence[int], n_splits: int) -> list[list[int]]:
    """L16: samples in order of time cut into folds, those of one time together; a fold may be empty."""
    order = sorted(range(len(starts)), key=lambda sample: starts[sample])
    size, larger = divmod(len(starts), n_splits)
    folds: list[list[int]] = [[] for _ in range(n_splits)]
    sizes = [size + (number < larger) for number in range(n_splits)]
    wanted = [number for number in range(n_splits) for _ in range(sizes[number])]
    for place, sample in enumerate(order):
        tied = place > 0 and starts[order[place - 1]] == starts[sample]
        wanted[place] = max(wanted[place], wanted[place - 1] if place else 0)
        if tied:
            wanted[place] = wanted[place - 1]
        folds[wanted[place]].append(sample)
    return folds


def trains_slowly(spans: Spans, fold: Sequence[int], embargo_ns: int, embargo_rows: int) -> list[int]:
    """L14 and L15: the samples that share no moment with the fold, nor with its embargo."""
    lower, upper = min(spans[sample][0] for sample in fold), max(spans[sample][1] for sample in fold)
    later = sorted(start for start, _ in spans if start > upper)
    barred = set(later[:embargo_rows])
    return [
        sample
        for sample, (start, end) in enumerate(spans)
        if end < lower or (start > upper + embargo_ns and start not in barred)
    ]
