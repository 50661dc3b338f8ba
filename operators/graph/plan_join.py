"""What a node that joins others computes: its columns, what they mean, and which rows they hang on."""

from collections.abc import Sequence
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

PLACE: Final = (LEFT_OFFSET, LEFT_INDEX)


class Upstream(NamedTuple):
    """What a node may read: the rows, the columns that key them, and the roots that they hang on."""

    source: Source
    key: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()
    joined: bool = False  # a node on the way joins others, or makes bars
    in_ties: bool = False  # a row of these may come of some of the rows of its time, and not of the others
    bars: BarSettings | None = None  # of rows that are bars: which
    identity: tuple[str, ...] = ()  # columns that say which row it is, beside key, clocks and place


class PlannedJoin(NamedTuple):
    """How rows are joined, and what comes of it; there are no features of its own among the columns."""

    settings: AsofSettings
    features: Features


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
    streams = [_stream(one) for one in (left, *rights)]
    settings = AsofSettings(
        left=streams[0],
        rights=tuple(streams[1:]),
        clock=clock,
        allow_exact=join.allow_exact,
        tolerance_ns=join.tolerance_ns,
        carry=join.carry,
        columns=join.columns,
    )
    source = left.source
    meanings, memories = dict(source.meanings), dict(source.memories)
    reaches, starts = dict(source.reaches), dict(source.starts)
    units: dict[str, Unit] = {}
    # The last row of a symbol counts however old it is, but for a tolerance.
    own = Reach(rows=1) if join.tolerance_ns is None else Reach(ns=join.tolerance_ns)
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
    return PlannedJoin(settings, features)


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
    return [(f"{right.name}_{name}", name) for name in (*settings.looked_up(right), on, "age_ns")]


def _rule(join: JoinSettings, clock: Clock) -> tuple[object, ...]:
    return clock, join.allow_exact, join.tolerance_ns, join.carry
