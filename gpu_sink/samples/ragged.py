"""Sums of stretches of unequal length, each in one fixed order, so that their bits hang on nothing else."""

from typing import Final

import numpy as np

from gpu_sink.samples.arguments import Float64s, Int64s

LANES: Final = 4


def stretch_sums(values: Float64s, starts: Int64s, lengths: Int64s) -> Float64s:
    """The sum of `values[start : start + length]` for each stretch, in four lanes.

    Value i of a stretch goes to lane i mod 4, in order; the result is (l0 + l1) + (l2 + l3), which is `sum4`
    of the formulas' handbook.  One step for each place in a stretch, over all stretches that reach it.
    """
    order = np.argsort(-lengths, kind="stable")
    first, reach = starts[order], lengths[order]
    lanes = np.zeros((LANES, len(starts)))
    longest = int(reach[0]) if len(reach) else 0
    counts = np.searchsorted(-reach, -np.arange(longest), side="left")  # stretches longer than each place
    for place, count in enumerate(counts.tolist()):
        lanes[place % LANES, :count] += values[first[:count] + place]
    sums = np.empty(len(starts))
    sums[order] = (lanes[0] + lanes[1]) + (lanes[2] + lanes[3])
    return sums
