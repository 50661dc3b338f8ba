"""Samples of a model: rows with a label and every column that it reads, in order of time."""

from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from app.wiring.models import Floats, matrix_of
from operators.graph.plan_model import KNOWN
from operators.tiles.settings import ModelSettings
from schemas.batch import Int64s

Bools = npt.NDArray[np.bool_]
INFO_END: Final = "info_end_ns"  # the last moment that a label hangs on; rows with `KNOWN` have it too


class Samples(NamedTuple):
    """One element for each sample, in order of `start_ns`.

    `x`         float64 [samples, columns of the model], all finite.
    `y`         float64 [samples], finite: the label.
    `start_ns`  int64: the time of the row, and `known_ns` from when on its label is known, which is not
                before the last moment that it hangs on.
    """

    x: Floats
    y: Floats
    start_ns: Int64s
    known_ns: Int64s

    @property
    def rows(self) -> int:
        """How many there are."""
        return self.start_ns.size

    def choose(self, places: Int64s | Bools) -> "Samples":
        """Some of them, by their places in order, or by a mask."""
        return Samples(self.x[places], self.y[places], self.start_ns[places], self.known_ns[places])


def samples_of(model: ModelSettings, rows: pa.Table, clock: str) -> Samples:
    """The samples among rows of the node with the label; rows without one, or that lack a number, are none.

    `clock` is the column that rows are in order of; rows of one time keep their order.
    """
    columns = [rows.column(name).combine_chunks() for name in (*model.x, model.y_column)]
    x = matrix_of(columns[:-1])
    y = matrix_of(columns[-1:])[:, 0]
    known = rows.column(KNOWN).combine_chunks()
    whole = np.isfinite(x).all(axis=1) & np.isfinite(y)
    whole &= np.asarray(known.is_valid().to_numpy(zero_copy_only=False), np.bool_)
    start_ns = np.asarray(rows.column(clock).to_numpy(), np.int64)
    # A feed may stamp rows as known before they happened: their clocks differ.  Moments of a fit are times of
    # rows, so a label that hangs on a later row is not known by then, whatever its stamp says.
    known_ns = np.maximum(_int64s(known), _int64s(rows.column(INFO_END).combine_chunks()))
    places = np.flatnonzero(whole)
    places = places[np.argsort(start_ns[places], kind="stable")]
    return Samples(x, y, start_ns, known_ns).choose(places)


def _int64s(column: pa.Array) -> Int64s:
    return np.asarray(column.fill_null(0).to_numpy(zero_copy_only=False), np.int64)


def joined(parts: Iterable[Samples]) -> Samples:
    """Samples of several days; raises ValueError for none."""
    whole = list(parts)
    if not whole:
        raise ValueError("no days, no samples")
    made = Samples(*(np.concatenate(of) for of in zip(*whole, strict=True)))
    return made.choose(np.argsort(made.start_ns, kind="stable"))
