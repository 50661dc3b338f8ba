"""What callers hand in as arrays, read once and refused with the first value that is wrong."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from gpu_sink.errors import SampleError

Int64s = npt.NDArray[np.int64]
Float64s = npt.NDArray[np.float64]

FARTHEST_NS: Final = 2**62  # a row's time lies nearer to the epoch, so that differences of times fit int64


def moments(name: str, values: Any) -> Int64s:
    """Times as int64 nanoseconds since the epoch: from int64, or from timestamps with or without UTC.

    Takes arrays of NumPy, Arrow, pandas and Polars; raises SampleError for others and for nulls.
    """
    array = np.asarray(values)
    if array.dtype.kind == "O":
        array = _datetimes(name, values)
    if array.dtype.kind == "M":
        nulls = np.flatnonzero(np.isnat(array))
        if nulls.size:
            raise SampleError(
                f"{name}[{nulls[0]}] is null, one of {nulls.size:,}: leave out samples without a label"
            )
        array = array.astype("datetime64[ns]").view(np.int64)
    whole = _whole(name, array, "nanoseconds, or timestamps")
    far = np.flatnonzero((whole <= -FARTHEST_NS) | (whole >= FARTHEST_NS))
    if far.size:
        raise SampleError(f"{name}[{far[0]}] is {whole[far[0]]:,}: no row has that time (1823 to 2116)")
    return whole


def spans(names: tuple[str, str], first: Int64s, last: Int64s) -> None:
    """Raise SampleError where a sample ends before it begins, or one array is longer than the other."""
    same_length({names[0]: first, names[1]: last})
    back = np.flatnonzero(last < first)
    if back.size:
        row = back[0]
        raise SampleError(f"{names[1]}[{row}] is {last[row]:,}, before {names[0]}[{row}], {first[row]:,}")


def numbers(name: str, values: Any) -> Float64s:
    """Numbers as float64 [n]; raises SampleError where one is not finite."""
    array = np.asarray(values)
    if array.ndim != 1 or array.dtype.kind not in "iuf":
        raise SampleError(f"{name} is {_words(array)}: give one number for each")
    floats = array.astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(floats))
    if bad.size:
        raise SampleError(f"{name}[{bad[0]}] is {floats[bad[0]]}, one of {bad.size:,} that are no numbers")
    return floats


def places(name: str, values: Any) -> Int64s:
    """Numbers of bars or rows as int64 [n]; raises SampleError for others."""
    return _whole(name, np.asarray(values), "the numbers of bars, counted from 0")


def same_length(arrays: dict[str, Sequence[Any] | npt.NDArray[Any]]) -> None:
    """Raise SampleError where arrays do not have one value for each sample."""
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        words = ", ".join(f"{name} has {length:,}" for name, length in lengths.items())
        raise SampleError(f"one value for each sample is needed: {words}")


def _datetimes(name: str, values: Any) -> npt.NDArray[Any]:
    """Objects that are timestamps, as pandas has those with a time zone."""
    try:
        return np.asarray(values, "datetime64[ns]")
    except (TypeError, ValueError):
        raise SampleError(f"{name} holds objects: give int64 nanoseconds, or timestamps") from None


def _whole(name: str, array: npt.NDArray[Any], wanted: str) -> Int64s:
    if array.ndim != 1 or array.dtype.kind not in "iu" or not np.can_cast(array.dtype, np.int64):
        raise SampleError(f"{name} is {_words(array)}: give int64, {wanted}")
    return array.astype(np.int64)


def _words(array: npt.NDArray[Any]) -> str:
    """How an array is, for a message."""
    return f"{array.dtype} of shape {array.shape}"
