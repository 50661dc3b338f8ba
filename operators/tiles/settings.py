"""What a node with a function says: how its rows are cut, what comes before each tile, what comes back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, TypeAlias

import pyarrow as pa

from operators.tiles.models import Models, Run
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

Every: TypeAlias = int | Literal["session"]


@dataclass(frozen=True, slots=True)
class UserFunction:
    """A function or a model as it was loaded.

    `run`      calls a function; `run_at` alone calls a model.
    `meaning`  16 hex digits that are equal where its source, all it reaches and its packages are.
    `engine`   what its frames are of, with the version: `polars 2.1.0`.
    `place`    where it stands: `my_nodes.py:4`.
    `models`   of a model: which artefact is valid when; None for a function.
    """

    run: Run
    meaning: str
    engine: str
    place: str
    models: Models | None = None

    def run_at(self, time_ns: int) -> Run | None:
        """What a tile that begins then is run through; None where no model is valid yet."""
        return self.run if self.models is None else self.models.run_at(time_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class FitSettings:
    """How a model is fitted anew as time goes on.

    `every`            at the end of each session, or after so many ns.
    `over_sessions`    over the rows of so many sessions before, or
    `over_ns`          of so long before; of all there are where both are 0.
    `embargo_rows`     so many of the last rows whose label is known are left out, and
    `embargo_ns`       those whose label is known less than so long before the fit.
    """

    every: Every = "session"
    over_sessions: int = 0
    over_ns: int = 0
    embargo_rows: int = 0
    embargo_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """What a model reads and learns: the columns `x` of its rows, and `y`, a label as `node.column`."""

    x: tuple[str, ...]
    y: str
    fit: FitSettings = FitSettings()

    @property
    def y_node(self) -> str:
        """The node that has the label."""
        return self.y.partition(".")[0]

    @property
    def y_column(self) -> str:
        """The label's column there."""
        return self.y.partition(".")[2]


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
    `model`         what a model reads and learns; None for a function.
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
    model: ModelSettings | None = None

    def describe(self) -> str:
        """In a line: `my_nodes.py:smooth, tiles of 1s, 100 rows before each`."""
        if self.model is not None:
            x = ", ".join(self.model.x)
            return f"{self.text} of {x} for {self.model.y}, tiles of {duration_text(self.tile_ns)}"
        before = [f"{self.rows:,} rows"] if self.rows else []
        before += [duration_text(self.ns)] if self.ns else []
        context = f"{' and '.join(before)} before each" if before else "nothing before each"
        return f"{self.text}, tiles of {duration_text(self.tile_ns)}, {context}"
