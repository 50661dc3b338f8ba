"""Sealed rows of the roots on their way to the nodes: they wait, and are taken together.

What a node gives does not hang on where its rows are cut.  A call costs it as much as some hundred rows, so
those of many seals are taken at once where nobody could see what comes of them any earlier.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from operators.sealed import RowKeys, Sealed
from schemas.batch import has_dictionary

# What waits is taken at the latest with so many rows of the roots, or bytes: it takes as much memory as them.
ROWS_MAX: Final = 8_192
SIZE_MAX: Final = 64 << 20


class Waiting:
    """What the roots of one task have sealed and its nodes have not taken."""

    def __init__(self, layouts: Mapping[str, pa.Schema]) -> None:
        """`layouts` are those of the roots, by name."""
        self._parts: list[Mapping[str, Sealed]] = []
        self._rows = self._size = 0
        # Dictionaries of different batches cannot always be put together.
        self._apart = any(has_dictionary(field.type) for layout in layouts.values() for field in layout)

    def __len__(self) -> int:
        """How many seals wait."""
        return len(self._parts)

    @property
    def due(self) -> bool:
        """Whether what waits has to be taken before more is added."""
        full = self._rows >= ROWS_MAX or self._size >= SIZE_MAX
        return bool(self._parts) and (self._apart or full)

    def add(self, sealed: Mapping[str, Sealed]) -> None:
        """Let what a seal gave wait, by root; not while anything is `due`."""
        assert not self.due, "rows that wait for nodes are to be taken first"
        self._parts.append(sealed)
        for part in sealed.values():
            if part.rows is not None:
                self._rows += part.rows.num_rows
                self._size += part.rows.nbytes

    def take(self) -> dict[str, Sealed]:
        """Hand over all that waits as one seal, by root; empty for none."""
        parts, self._parts, self._rows, self._size = self._parts, [], 0, 0
        return {name: together([part[name] for part in parts]) for name in (parts[0] if parts else ())}


def together(seals: Sequence[Sealed]) -> Sealed:
    """The rows of seals that followed one another, as one seal would have given them."""
    if len(seals) == 1:
        return seals[0]
    parts = [seal for seal in seals if seal.rows is not None]
    last = seals[-1]
    if not parts:
        return last
    keys = [part.keys for part in parts if part.keys is not None]
    available = [part.available for part in parts if part.available is not None]
    assert len(keys) in (0, len(parts)), "keys of some rows alone"
    assert len(available) in (0, len(parts)), "moments of some rows alone"
    return Sealed(
        pa.concat_batches([part.rows for part in parts]),
        last.complete_ns,
        matched_rows={name: sum(part.matched_rows[name] for part in parts) for name in parts[0].matched_rows},
        keys=RowKeys(*map(np.concatenate, zip(*keys, strict=True))) if keys else None,
        available=pa.concat_arrays(available) if available else None,
    )
