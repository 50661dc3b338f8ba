"""The keys of a node with a function: which one, what it gives, and how rows are cut for it."""

import re
from typing import Annotated, Final, Literal

from pydantic import Field, field_validator, model_validator

from app.settings.section import Section, WholeNs
from operators.tiles.settings import (
    CONTEXT_ROWS_MAX,
    QUARTER_NS,
    Mistake,
    ModelSettings,
    TileSettings,
    UserFunction,
)
from schemas.durations import duration_text

FUNCTION: Final = re.compile(r"(?P<file>[^:]+\.py):(?P<name>[A-Za-z_]\w*)")
FUNCTION_KEYS: Final = (
    *("function", "context", "tile_ns", "returns", "reads", "failures_max", "on_error", "time_limit_ms"),
    "rows_max",
)


class ContextTable(Section):
    """The table `context`: which rows before a tile its function gets with it."""

    rows: Annotated[int, Field(ge=0, le=CONTEXT_ROWS_MAX)] = 0  # of each symbol, however old
    time_ns: WholeNs = 0  # those of less than so long before the tile


class FunctionTable(Section):
    """Keys of the table `[graph.NAME]` that are those of functions alone."""

    function: str | None = None  # my_nodes.py:smooth, beside the settings
    context: ContextTable = ContextTable()
    tile_ns: Annotated[WholeNs, Field(gt=0)] | None = None  # cut at multiples of it since the epoch
    returns: dict[str, str] = Field(default_factory=dict)  # column = "float64", " @2" behind it its version
    reads: tuple[str, ...] | None = None  # columns it gets, and those that name a row; none: all
    failures_max: Annotated[int, Field(ge=1)] = 10  # tiles in a row, then the function is off
    on_error: Literal["null", "stop"] = "null"  # what becomes of a tile whose function raises
    time_limit_ms: Annotated[int, Field(gt=0)] = 60_000  # of one call; then the worker stops
    rows_max: Annotated[int, Field(ge=1)] = 4_000_000  # held of context and open tiles; more stop the worker

    @field_validator("function")
    @classmethod
    def _is_file_and_name(cls, text: str | None) -> str | None:
        if text is not None and not FUNCTION.fullmatch(text):
            raise ValueError(f'expected a file and a name in it, such as "my_nodes.py:smooth", not {text!r}')
        return text

    @field_validator("tile_ns")
    @classmethod
    def _is_part_of_a_quarter(cls, tile_ns: int | None) -> int | None:
        if tile_ns is not None and (tile_ns > QUARTER_NS or QUARTER_NS % tile_ns):
            raise ValueError(
                f"expected a whole part of 15 minutes, such as 1s, 5s or 1m, not {duration_text(tile_ns)}: "
                "days of every zone then end with a tile"
            )
        return tile_ns

    @model_validator(mode="before")
    @classmethod
    def _function_is_a_kind(cls, value: object) -> object:
        """A table with a function needs no `kind`."""
        if isinstance(value, dict) and value.get("function") is not None and "kind" not in value:
            return {**value, "kind": "function"}
        return value

    def require_function(self) -> None:
        """Raise ValueError where keys are missing."""
        if self.function is None:
            raise ValueError('kind = "function" needs function: function = "my_nodes.py:smooth"')
        if self.tile_ns is None:
            raise ValueError('a function needs tile, how its rows are cut: tile = "1s"')
        if not self.returns:
            raise ValueError('a function needs returns, what it gives: returns = { mid_s = "float64" }')

    def tiles(
        self,
        function: UserFunction | None,
        mistakes: tuple[Mistake, ...],
        model: ModelSettings | None = None,
    ) -> TileSettings:
        """The function as the core plans it, as it was loaded; `model` says what a model reads and learns."""
        assert self.function is not None
        assert self.tile_ns is not None
        return TileSettings(
            text=self.function,
            returns=dict(self.returns),
            tile_ns=self.tile_ns,
            rows=self.context.rows,
            ns=self.context.time_ns,
            reads=self.reads,
            failures_max=self.failures_max,
            stops=self.on_error == "stop",
            rows_max=self.rows_max,
            function=function,
            mistakes=mistakes,
            model=model,
        )
