"""Labels over time: how much of the time that a label hangs on is its own."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from gpu_sink.samples.arguments import Float64s, Int64s, moments, spans
from gpu_sink.samples.ragged import stretch_sums

STRETCHES_MAX: Final = 1 << 20  # stretches of time laid out at once: 40 MB


def time_uniqueness(start_ns: Any, end_ns: Any) -> Float64s:
    """How much of each label's time is its own, float64 [labels] (L11 of the formulas' handbook).

    `start_ns`, `end_ns`  [labels]: what each label hangs on, (start, end], of all symbols that count as one.

    It is the mean over its time of 1 / (labels at that moment); a label of no length has 1, and takes
    nothing from others.  For each label the nanoseconds with 1, 2, ... labels are counted exactly; only the
    quotients are rounded, in the order of that number.  Raises SampleError for a label that ends before it
    begins.
    """
    start, end = moments("start_ns", start_ns), moments("end_ns", end_ns)
    spans(("start_ns", "end_ns"), start, end)
    uniqueness = np.ones(len(start))
    long = np.flatnonzero(end > start)
    bounds = np.unique(np.concatenate([start[long], end[long]]))
    first, behind = np.searchsorted(bounds, start[long]), np.searchsorted(bounds, end[long])
    changes = np.bincount(first, minlength=len(bounds)) - np.bincount(behind, minlength=len(bounds))
    labels, lengths = np.cumsum(changes), np.diff(bounds)
    for part in _parts(behind - first):
        ns = _shared_ns(labels, lengths, first[part], behind[part])
        rows = long[part]
        uniqueness[rows] = ns / (end[rows] - start[rows])
    return uniqueness


def _shared_ns(labels: Int64s, lengths: Int64s, first: Int64s, behind: Int64s) -> Float64s:
    """Of each label, its time where each nanosecond counts 1 / (labels at that moment)."""
    counts = behind - first
    label = np.repeat(np.arange(len(first)), counts)
    place = np.arange(len(label)) + np.repeat(first - (np.cumsum(counts) - counts), counts)
    order = np.lexsort((labels[place], label))
    label, place = label[order], place[order]
    sharing = labels[place]
    is_first = np.empty(len(label), np.bool_)
    is_first[0] = True
    is_first[1:] = (label[1:] != label[:-1]) | (sharing[1:] != sharing[:-1])
    heads = np.flatnonzero(is_first)
    ns = np.add.reduceat(lengths[place], heads)
    sizes = np.bincount(label[heads], minlength=len(first))
    return stretch_sums(ns / sharing[heads], np.cumsum(sizes) - sizes, sizes)


def _parts(counts: Int64s) -> list[npt.NDArray[np.intp]]:
    """Labels in parts that are laid out at once: as many as fit, one at least."""
    behind = np.cumsum(counts)
    tiles = (behind - counts) // STRETCHES_MAX
    cuts = np.flatnonzero(np.diff(tiles)) + 1
    return [part for part in np.split(np.arange(len(counts)), cuts) if len(part)]
