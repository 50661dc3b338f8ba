"""Whether splits leak: a sample that trains must hang on no moment that a tested one hangs on."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from gpu_sink.errors import SampleError
from gpu_sink.samples.arguments import Int64s, moments, same_length, spans


def require_no_leak(
    splits: Iterable[tuple[Any, Any]], start_ns: Any, info_end_ns: Any, *, embargo_ns: int = 0
) -> int:
    """Check splits of anybody's making, and return how many they are.

    `splits`        of each the samples that train and those that are tested, as places or as bool [samples]:
                    what `split` of scikit-learn's splitters gives.
    `start_ns`      [samples]: the moment of each sample's event.
    `info_end_ns`   [samples]: the last moment that its label hangs on.
    `embargo_ns`    how long after a tested sample none trains: as long as features look back.

    Raises SampleError that names the first split which leaks, a sample of either side, and the moment that
    both hang on.  Ends belong to samples, so two that touch overlap (L14).
    """
    start, info_end = moments("start_ns", start_ns), moments("info_end_ns", info_end_ns)
    spans(("start_ns", "info_end_ns"), start, info_end)
    if embargo_ns < 0:
        raise SampleError(f"embargo_ns is {embargo_ns!r}: give nanoseconds, 0 for none")
    count = 0
    for number, (train, test) in enumerate(splits):
        trains, tested = (
            _places(name, one, start.size) for name, one in (("what trains", train), ("what is tested", test))
        )
        _require_apart(number, trains, tested, start, info_end, int(embargo_ns))
        count += 1
    return count


def _require_apart(
    number: int, trains: Int64s, tested: Int64s, start: Int64s, info_end: Int64s, embargo_ns: int
) -> None:
    if not trains.size or not tested.size:
        raise SampleError(f"split {number} has nothing that {'is tested' if trains.size else 'trains'}")
    tested = tested[np.argsort(start[tested], kind="stable")]
    ends = info_end[tested] + embargo_ns  # moments lie nearer to the epoch than 2**62 ns
    # Of the tested samples that begin by each one's end the one that ends last.
    last = np.maximum.accumulate(ends)
    newest = np.searchsorted(start[tested], info_end[trains], side="right") - 1
    leaking = (newest >= 0) & (last[np.maximum(newest, 0)] >= start[trains])
    if not leaking.any():
        return
    first = int(leaking.argmax())
    sample = int(trains[first])
    other = int(tested[: newest[first] + 1][int(ends[: newest[first] + 1].argmax())])
    embargo = f" and the embargo of {embargo_ns:,} ns" if embargo_ns else ""
    raise SampleError(
        f"split {number} leaks: sample {sample} trains with a label of {start[sample]:,} to "
        f"{info_end[sample]:,} ns, and sample {other} is tested with one of {start[other]:,} to "
        f"{info_end[other]:,} ns{embargo}; {int(leaking.sum()):,} of {trains.size:,} that train overlap what "
        "is tested: leave them out, as PurgedKFold does"
    )


def _places(name: str, samples: Any, count: int) -> Int64s:
    chosen: npt.NDArray[Any] = np.asarray(samples)
    if chosen.dtype.kind == "b":
        same_length({name: chosen, "start_ns": range(count)})
        return np.flatnonzero(chosen).astype(np.int64)
    if chosen.size and (chosen.dtype.kind not in "iu" or chosen.min() < 0 or chosen.max() >= count):
        raise SampleError(f"{name} are places of samples 0 to {count - 1:,}, or a mask of them")
    return chosen.astype(np.int64)
