"""The keys of a node with a model: what it reads, what it learns, and how it is fitted anew."""

import re
from typing import Annotated, Final

from pydantic import Field, field_validator

from app.settings.functions import FunctionTable
from app.settings.section import Section, WholeNs
from operators.tiles.settings import Every, FitSettings, Mistake, ModelSettings, TileSettings, UserFunction
from schemas.durations import DurationError, duration_ns

MODEL_KEYS: Final = ("x", "y", "fit")
LABEL: Final = re.compile(r"[a-z][a-z0-9_]*\.\w+")
SESSIONS: Final = re.compile(r"([1-9][0-9]{0,5}) sessions?")
SESSION: Final = "session"


class EmbargoTable(Section):
    """The table `embargo`: which of the newest labels a fit leaves out, beside those not known by then."""

    rows: Annotated[int, Field(ge=0)] = 0  # so many of the last rows
    time_ns: WholeNs = 0  # those known less than so long before the fit


class FitTable(Section):
    """The table `fit`: when a model is fitted anew, and over which rows."""

    every: str = SESSION  # "session": as each one ends; or a duration: 1h
    over: str | None = None  # "20 sessions", or a duration; none: all rows there are
    embargo: EmbargoTable = EmbargoTable()

    @field_validator("every")
    @classmethod
    def _is_session_or_duration(cls, text: str) -> str:
        if text != SESSION:
            _positive(text, '"session" or a duration such as 1h')
        return text

    @field_validator("over")
    @classmethod
    def _is_sessions_or_duration(cls, text: str | None) -> str | None:
        if text is not None and not SESSIONS.fullmatch(text):
            _positive(text, '"20 sessions" or a duration such as 5d')
        return text

    def settings(self) -> FitSettings:
        """The same for the core."""
        every: Every = SESSION if self.every == SESSION else duration_ns(self.every)
        sessions = None if self.over is None else SESSIONS.fullmatch(self.over)
        return FitSettings(
            every=every,
            over_sessions=int(sessions[1]) if sessions else 0,
            over_ns=0 if self.over is None or sessions else duration_ns(self.over),
            embargo_rows=self.embargo.rows,
            embargo_ns=self.embargo.time_ns,
        )


class ModelTable(FunctionTable):
    """Keys of the table `[graph.NAME]` that are those of models alone, beside those of functions."""

    x: tuple[str, ...] = ()  # columns that it reads, in this order
    y: str | None = None  # what it learns: outcome.label, a column of a node of labels
    fit: FitTable = FitTable()

    @field_validator("y")
    @classmethod
    def _is_node_and_column(cls, text: str | None) -> str | None:
        if text is not None and not LABEL.fullmatch(text):
            raise ValueError(f'expected a node and its label, such as "outcome.label", not {text!r}')
        return text

    @field_validator("x")
    @classmethod
    def _are_apart(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) < len(names):
            raise ValueError(f"x names a column twice: {', '.join(names)}")
        return names

    def require_model(self) -> None:
        """Raise ValueError where keys are missing, or are of functions alone."""
        if self.function is None:
            raise ValueError('kind = "model" needs function: function = "my_models.py:Ridge"')
        if self.tile_ns is None:
            raise ValueError('a model needs tile, how its rows are cut: tile = "1s"')
        if not self.x:
            raise ValueError('a model needs x, the columns that it reads: x = ["mom_20", "vol_20"]')
        if self.y is None:
            raise ValueError('a model needs y, the label that it learns: y = "outcome.label"')
        if not self.returns:
            raise ValueError('a model needs returns, what it gives: returns = { score = "float64" }')
        if self.context.rows or self.context.time_ns:
            raise ValueError(
                "a model has no context: what looks back is a feature, in a node that this one reads"
            )
        if self.reads is not None:
            raise ValueError("a model has no reads: x names the columns that it reads")

    def model_tiles(self, function: UserFunction | None, mistakes: tuple[Mistake, ...]) -> TileSettings:
        """The model as the core plans it, as it was loaded."""
        assert self.y is not None
        model = ModelSettings(x=self.x, y=self.y, fit=self.fit.settings())
        return self.tiles(function, mistakes, model)


def _positive(text: str, wanted: str) -> None:
    try:
        ns = duration_ns(text)
    except DurationError as wrong:
        raise ValueError(f"expected {wanted}: {wrong}") from None
    if ns <= 0:
        raise ValueError(f"expected {wanted}, more than nothing, not {text!r}")
