"""What a node that joins others computes: its columns, what they mean, and which rows they hang on."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

import pyarrow as pa

from operators.bars.settings import BarSettings
from operators.formula.features import Features, Source
from operators.formula.functions.declare import widest
from operators.formula.history import Reach, latest_start
from operators.formula.meaning import digest
from operators.graph.declare import JoinSettings
from operators.join.settings import AsofSettings
from schemas.clocks import Clock
from schemas.frame import LEFT_INDEX, LEFT_OFFSET
from schemas.stream import Stream

if TYPE_CHECKING:
    from operators.formula.units import Unit

AGE: Final = "age_ns"  # ends the name of the column that says how old a match is
PLACE: Final = (LEFT_OFFSET, LEFT_INDEX)
WHY: Final = ".why"  # of the column beside those of a side that says why these are null; no column's own name


class Upstream(NamedTuple):
    """What a node may read: the rows, the columns that key them, and the roots that they hang on."""

    source: Source
    key: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()
    waits: bool = False  # a node on the way makes bars, labels rows or calls a function: rows wait in it
    in_ties: bool = False  # a row of these may come of some of the rows of its time, and not of the others
    bars: BarSettings | None = None  # of rows that are bars: which
    identity: tuple[str, ...] = ()  # columns that say which row it is, beside key, clocks and place


class PlannedJoin(NamedTuple):
    """How rows are joined, and what comes of it; there are no features of its own among the columns.

    `settings`  of a join with the columns of `why` beside those of the node.
    `lag_ns`    how long before its own time a row looks others up.
    `why`       by side, the left one first: the columns whose nulls have a reason, as the side names them.
    """

    settings: AsofSettings
    features: Features
    lag_ns: int = 0
    why: tuple[tuple[str, ...], ...] = ()


def plan_join(join: JoinSettings, left: Upstream, rights: Sequence[Upstream], clock: Clock) -> PlannedJoin:
    """The join of a node's rows with those of others, all of whose columns are known.

    Raises StreamError and SettingsError where their columns do not bear it.
    """
    for right in rights:
        if right.in_ties and join.allow_exact:
            raise ValueError(
                f"{right.source.name} has bars that close with a trade, and more trades of that nanosecond "
                "may follow: write allow_exact = false"
            )
    settings = _settings(join, clock, [_stream(one) for one in (left, *rights)], join.columns)
    source = left.source
    meanings, memories = dict(source.meanings), dict(source.memories)
    reaches, starts = dict(source.reaches), dict(source.starts)
    units: dict[str, Unit] = {}
    # The last row of a symbol counts however old it is, but for a tolerance.
    rows, tolerance_ns = (1, 0) if join.tolerance_ns is None else (0, join.tolerance_ns)
    own = Reach(rows=rows, ns=join.lag_ns + tolerance_ns)
    for right, stream in zip(rights, settings.rights, strict=True):
        for column, name in looked_up_columns(settings, stream):
            of = right.source
            rule = digest("asof", *_rule(join, clock), source.rows, of.rows)
            meanings[column] = digest(rule, of.meanings.get(name, name))
            memories[column] = widest({"window", of.memories.get(name, "row")})
            reaches[column] = own.behind(of.reaches.get(name, Reach()))
            # A value that is carried by column may be of any row before, but for a tolerance.
            anyone = name in settings.carried_by_column(stream) and join.tolerance_ns is None
            starts[column] = "genesis" if anyone else latest_start([of.starts.get(name, "")])
            units[column] = of.units.get(name)
    layout = settings.aligned_schema()
    features = Features((), layout, (), (), source.rows, meanings, memories, reaches, starts, units)
    return _with_reasons(PlannedJoin(settings, features, join.lag_ns), join, left, rights)


def _settings(
    join: JoinSettings, clock: Clock, streams: Sequence[Stream], columns: Mapping[str, tuple[str, ...]]
) -> AsofSettings:
    return AsofSettings(
        left=streams[0],
        rights=tuple(streams[1:]),
        clock=clock,
        allow_exact=join.allow_exact,
        tolerance_ns=join.tolerance_ns,
        carry=join.carry,
        columns=columns,
    )


def _with_reasons(
    planned: PlannedJoin, join: JoinSettings, left: Upstream, rights: Sequence[Upstream]
) -> PlannedJoin:
    """The join with a column more on each side whose features may be null: why they are, in one piece.

    What is carried by column may come of many rows, so that no one of them says why it is null.
    """
    settings = planned.settings
    taken = [left.source.memories.keys() & set(settings.left.schema.names)]
    for right, stream in zip(rights, settings.rights, strict=True):
        looked_up = set(settings.looked_up(stream)) if join.carry == "row" else set()
        taken.append(right.source.memories.keys() & looked_up)
    why = tuple(
        tuple(name for name in stream.schema.names if name in names)
        for stream, names in zip(settings.streams, taken, strict=True)
    )
    streams, columns = [], dict(join.columns)
    for stream, names in zip(settings.streams, why, strict=True):
        more = [pa.field(WHY, pa.binary())] if names else []
        streams.append(replace(stream, schema=pa.schema([*stream.schema, *more])))
        if names and stream.name in columns:
            columns[stream.name] = (*columns[stream.name], WHY)
    return planned._replace(settings=_settings(join, settings.clock, streams, columns), why=why)


def joined_scales(settings: AsofSettings, left: Upstream, rights: Sequence[Upstream]) -> dict[str, int]:
    """The scales of the columns of a join, by their names there."""
    scales = dict(left.source.scales)
    for right, stream in zip(rights, settings.rights, strict=True):
        of_right = right.source.scales
        looked_up = looked_up_columns(settings, stream)
        scales |= {column: of_right[name] for column, name in looked_up if name in of_right}
    return scales


def joined_labels(settings: AsofSettings, left: Upstream, rights: Sequence[Upstream]) -> frozenset[str]:
    """The columns of a join that are labels, by their names there."""
    labels = set(left.source.labels)
    for right, stream in zip(rights, settings.rights, strict=True):
        looked_up = looked_up_columns(settings, stream)
        labels |= {column for column, name in looked_up if name in right.source.labels}
    return frozenset(labels)


def join_meaning(features: Features) -> str:
    """16 hex digits that are equal where the same rows have the same columns: rows wait with all of them."""
    columns = [f"{name} {features.meanings[name]}" for name in features.layout.names]
    return digest("asof", features.rows, *columns)


def _stream(upstream: Upstream) -> Stream:
    """The rows of a node or root as an input of a join; where they stand in their log is no column there."""
    layout = upstream.source.layout
    assert layout is not None, f"the columns of {upstream.source.name} are not known"
    columns = [column for column in layout if column.name not in PLACE]
    return Stream(name=upstream.source.name, schema=pa.schema(columns), key=upstream.key)


def looked_up_columns(settings: AsofSettings, right: Stream) -> list[tuple[str, str]]:
    """The columns that come from other rows, and the name that each has there, or that of an age."""
    on = right.require_clock(settings.clock)
    return [(f"{right.name}_{name}", name) for name in (*settings.looked_up(right), on, AGE) if name != WHY]


def _rule(join: JoinSettings, clock: Clock) -> tuple[object, ...]:
    lag = (join.lag_ns,) if join.lag_ns else ()  # without one the rule means what it always did
    return (clock, join.allow_exact, join.tolerance_ns, join.carry, *lag)
