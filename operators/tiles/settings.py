"""What a node with a function says: how its rows are cut, what comes before each tile, what comes back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

import pyarrow as pa

from schemas.clocks import NS_PER_S
from schemas.durations import duration_text

# Days of every zone end with a tile, so that the last one of a day that is published is never left open.
QUARTER_NS: Final = 900 * NS_PER_S
CONTEXT_ROWS_MAX: Final = 65_536  # of a symbol
RETURNS: Final[Mapping[str, pa.DataType]] = {
    "float64": pa.float64(),
    "int64": pa.int64(),
    "bool": pa.bool_(),
    "string": pa.string(),
}

# Takes rows, context first, and gives the columns that are wanted, as far as they came back.
Run: TypeAlias = Callable[[pa.RecordBatch], Mapping[str, pa.Array]]


@dataclass(frozen=True, slots=True)
class UserFunction:
    """A function as it was loaded.

    `run`      calls it.
    `meaning`  16 hex digits that are equal where its source, all it reaches and its packages are.
    `engine`   what its frames are of, with the version: `polars 2.1.0`.
    `place`    where it stands: `my_nodes.py:4`.
    """

    run: Run
    meaning: str
    engine: str
    place: str


class Mistake(NamedTuple):
    """Why a function cannot be used, and which key of the node's table says so."""

    setting: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TileSettings:
    """The settings of a node with a function.

    `text`          file and name: `my_nodes.py:smooth`.
    `returns`       by column it gives back: the type, and behind it the version: `float64 @2`.
    `tile_ns`       how long a tile is; tiles begin at multiples of it since the epoch.
    `rows`, `ns`    the context: so many rows of each symbol before the tile, and those of so long before it.
    `reads`         the columns that it gets beside key, clocks and place; None for all.
    `failures_max`  after so many tiles in a row that failed the function is off.
    `stops`         whether a tile that fails stops the worker.
    `rows_max`      how many rows may be held, of context and of open tiles; more stop the worker.
    `function`      as it was loaded; None where it was not, or `mistakes` says why it cannot be.
    """

    text: str
    returns: Mapping[str, str]
    tile_ns: int
    rows: int = 0
    ns: int = 0
    reads: tuple[str, ...] | None = None
    failures_max: int = 10
    stops: bool = False
    rows_max: int = 4_000_000
    function: UserFunction | None = None
    mistakes: tuple[Mistake, ...] = ()

    def describe(self) -> str:
        """In a line: `my_nodes.py:smooth, tiles of 1s, 100 rows before each`."""
        before = [f"{self.rows:,} rows"] if self.rows else []
        before += [duration_text(self.ns)] if self.ns else []
        context = f"{' and '.join(before)} before each" if before else "nothing before each"
        return f"{self.text}, tiles of {duration_text(self.tile_ns)}, {context}"
