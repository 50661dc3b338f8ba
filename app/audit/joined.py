"""Rows of nodes, joins, bars and labels as they should be, made of the rows of roots in the plan's order.

A join is that of the audit's own (`join.expected_rows`), a batch of left rows at a time: the right rows up to
the last of them are read, and the last of each symbol stays for those that come.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import polars as pl

from app.audit.bar_rows import bar_frames
from app.audit.findings import PLACE
from app.audit.join import INDEX, OFFSET, expected_rows, matched_row, standing_rows, value_since
from app.audit.label_rows import label_frames
from app.audit.made import MAYBE, THERE, MadeRules
from app.audit.node_rules import ORDER, JoinRules, NodeRules
from app.audit.tile_rows import tile_frames
from app.audit.wanted import made_rows
from schemas.clocks import BEGINNING_NS, END_NS

Begun = Callable[[int], None]  # hears, before the first rows come, 0 where none before them is gone


class ReadRoot(Protocol):
    """Reads the rows of a root, one partition of it, as often as it is called."""

    def __call__(self, root: str, begun: Begun, /) -> Iterator[pl.DataFrame]:
        """The rows in their order, each once, with their places and under the root's own names."""


class Beginning:
    """Whether rows of a side are gone that came before those which are read; known once these came."""

    def __init__(self, heard: Begun | None = None) -> None:
        self._low = 0
        self._heard = heard

    def begin(self, low: int) -> None:
        """The reading begins."""
        self._low = low
        if self._heard is not None:
            self._heard(low)

    def is_cut(self) -> bool:
        """Whether others came before."""
        return self._low > 0


def root_rows(
    rules: NodeRules, read: ReadRoot, begun: Begun, complete_ns: int = BEGINNING_NS
) -> Iterator[pl.DataFrame]:
    """The rows that a node adds its features to, under the names that its formulas have for their columns.

    `begun` is told of the root whose rows they are; what a join looks up is marked by `THERE` where it may
    hang on rows that are gone.  Roots are complete below `complete_ns`, or the time of their last row; rows
    that a node makes, and that may not have come out by then, are marked by `MAYBE`.  Where rows are gone
    that such nodes take there are none.
    """
    if rules.made is not None:
        yield from _made(rules.made, read, begun, complete_ns)
        return
    if rules.join is None:
        yield from map(rules.named, read(rules.root, begun))
        return
    join, beginning, count = rules.join, Beginning(begun), 0
    rights = {name: _Right(join, name, read, complete_ns) for name in join.rights}
    left = root_rows(join.left, read, beginning.begin, complete_ns)
    for rows in made_rows(join.left, left, beginning.is_cut):
        if rows.height:
            joined = _joined(join, _numbered(rows, join.left.columns, count), rights)
            waits_ns = min(right.waits_ns for right in rights.values())
            moment = pl.col(join.rules.on) - join.lag_ns
            yield joined if waits_ns == END_NS else _marked(joined, moment, waits_ns)
            count += rows.height


def _marked(rows: pl.DataFrame, moment: pl.Expr, waits_ns: int) -> pl.DataFrame:
    """Joined rows with those marked that may not have come out, since what they look up may not."""
    own = pl.col(MAYBE) if MAYBE in rows.columns else pl.lit(value=False)
    return rows.with_columns((own | (moment >= waits_ns)).alias(MAYBE))


def _made(made: MadeRules, read: ReadRoot, begun: Begun, complete_ns: int) -> Iterator[pl.DataFrame]:
    """The rows that a node makes; none where rows are gone that it takes."""
    beginning, of_beside = Beginning(begun), Beginning()
    root = root_rows(made.upstream, read, beginning.begin, complete_ns)
    upstream = _until_cut(made_rows(made.upstream, root, beginning.is_cut), beginning)
    if made.node.bars is not None:
        yield from bar_frames(made, made_rows(made.values, upstream, beginning.is_cut), complete_ns)
    elif made.node.tiles is not None:
        yield from tile_frames(made, upstream, complete_ns)
    else:
        beside: list[pl.DataFrame] = []
        if made.beside is not None:
            root = root_rows(made.beside, read, of_beside.begin, complete_ns)
            beside = list(_until_cut(made_rows(made.beside, root, of_beside.is_cut), of_beside))
        yield from label_frames(made, upstream, None if of_beside.is_cut() else beside, complete_ns)


def _until_cut(frames: Iterator[pl.DataFrame], beginning: Beginning) -> Iterator[pl.DataFrame]:
    """The rows, or none where others came before them that are gone."""
    for rows in frames:
        if beginning.is_cut():
            return
        yield rows


def _joined(join: JoinRules, left: pl.DataFrame, rights: "Mapping[str, _Right]") -> pl.DataFrame:
    """Left rows, numbered, with all that is looked up for them."""
    lag_ns, on = join.lag_ns, join.rules.on
    left = left.with_columns(pl.col(on) - lag_ns)
    found = {name: right.read(left) for name, right in rights.items()}
    rules = replace(join.rules, columns={name: right.looked_up for name, right in rights.items()})
    rows = expected_rows(rules, left, found)
    told = [expr for right in rights.values() for expr in right.there()]
    aside = {ORDER}.union(*(right.aside() for right in rights.values()))
    own = [pl.col(name) + lag_ns for name in (on, *(f"{name}_age_ns" for name in rights))]
    return rows.with_columns(told).with_columns(own).drop(sorted(aside), strict=False)


class _Right:
    """What a join looks up, in order, as far as coming left rows may match it."""

    def __init__(self, join: JoinRules, name: str, read: ReadRoot, complete_ns: int) -> None:
        self._rules, self._name, self._right = join.rules, name, join.rights[name]
        self._on = join.rules.on
        self._beginning = Beginning()
        root = root_rows(self._right, read, self._beginning.begin, complete_ns)
        self._frames = made_rows(self._right, root, self._beginning.is_cut)
        self._rows: pl.DataFrame | None = None
        self._count = 0
        self._first_ns, self._last_ns = END_NS, BEGINNING_NS  # of the rows read so far
        self._told: list[str] = []  # columns that come with THERE
        self.waits_ns = END_NS  # from when on its rows may not have come out

    @property
    def looked_up(self) -> list[str]:
        """The columns that are looked up, and those that say of some whether they are right."""
        return [*self._rules.columns[self._name], *(THERE + column for column in self._told)]

    def read(self, left: pl.DataFrame) -> pl.DataFrame:
        """All rows that these left rows may match; those that come later have no earlier time."""
        first_ns, last_ns = int(left[self._on][0]), int(left[self._on][-1])
        parts = [] if self._rows is None else self._standing(self._rows, first_ns)
        while self._last_ns <= last_ns and (rows := next(self._frames, None)) is not None:
            if rows.height:
                self._first_ns = min(self._first_ns, int(rows[self._on][0]))
                self._last_ns = int(rows[self._on][-1])
                parts.append(self._taken(rows))
        if self._right.hangs_on_made and self._beginning.is_cut():
            self.waits_ns = BEGINNING_NS  # nobody can say which of its rows have come out
        if not parts:
            return self._none(left)
        self._rows = pl.concat(parts, how="diagonal_relaxed")
        return self._rows

    def there(self) -> Iterator[pl.Expr]:
        """Of the columns in joined rows that may hang on rows which are gone: whether each value does not."""
        columns = self._rules.columns[self._name]
        for column in (*columns, self._on, "age_ns"):
            if column in self._told or self._beginning.is_cut():
                of_row = pl.lit(value=True)
                if column in self._told:
                    of_row = pl.col(f"{self._name}_{THERE}{column}").fill_null(value=True)
                sure = of_row & self._certain(column) if self._beginning.is_cut() else of_row
                yield sure.alias(f"{THERE}{self._name}_{column}")

    def aside(self) -> set[str]:
        """The columns of joined rows that are none of the join's own."""
        since = {value_since(self._name, column) for column in self.looked_up}
        return {*matched_row(self._name), *since, *(f"{self._name}_{THERE}{column}" for column in self._told)}

    def _certain(self, column: str) -> pl.Expr:
        """Whether no row that is gone, and so older than all that are left, could be in its place."""
        is_value = column in self._rules.columns[self._name]
        by_column = is_value and self._rules.pipeline.carry == "column"
        found = pl.col(f"{self._name}_{column}" if by_column else matched_row(self._name)[0]).is_not_null()
        tolerance_ns = self._rules.pipeline.tolerance_ns
        return found if tolerance_ns is None else found | (pl.col(self._on) - tolerance_ns > self._first_ns)

    def _standing(self, rows: pl.DataFrame, first_ns: int) -> list[pl.DataFrame]:
        """Of the rows before a time the last of each symbol, and all others."""
        rules = replace(self._rules, columns={self._name: self.looked_up})
        later = rows.filter(pl.col(self._on) >= first_ns)
        return [standing_rows(rules, self._name, rows, first_ns - 1), later]

    def _taken(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows as the join takes them."""
        columns = self._rules.columns[self._name]
        if MAYBE in rows.columns and rows[MAYBE].any():
            self.waits_ns = min(self.waits_ns, int(rows.filter(pl.col(MAYBE))[self._on][0]))
        told = [column for column in columns if THERE + column in rows.columns]
        self._told += [column for column in told if column not in self._told]
        rows = _numbered(rows, self._right.columns, self._count)
        self._count += rows.height
        if self._rules.pipeline.carry == "column":
            rows = rows.with_columns(map(_of_values, told))
        names = [*self._right.key, self._on, *columns, *(THERE + c for c in told), ORDER, OFFSET, INDEX]
        return rows.select(list(dict.fromkeys(names)))

    def _none(self, left: pl.DataFrame) -> pl.DataFrame:
        """No rows, with keys that those of left rows can be compared with."""
        own, of_left = self._right.key, self._rules.keys[self._rules.pipeline.left]
        kinds: dict[str, pl.DataType] = {name: pl.Null() for name in self.looked_up}
        kinds |= {name: left.schema[other] for name, other in zip(own, of_left, strict=True)}
        kinds |= {self._on: pl.Int64(), ORDER: pl.Int64(), OFFSET: pl.Int64(), INDEX: pl.Int32()}
        return pl.DataFrame(schema=kinds)


def _of_values(column: str) -> pl.Expr:
    """With carry by column: whether a value is right; nothing of a null that is, which is passed over."""
    there = pl.col(THERE + column).fill_null(value=True)
    known = pl.when(pl.col(column).is_not_null() | ~there).then(there)
    return known.alias(THERE + column)


def _numbered(rows: pl.DataFrame, columns: Sequence[str], first: int) -> pl.DataFrame:
    """Rows with their order among those of their side; what they lack, since nobody judges it, is null."""
    lacking = [pl.lit(None).alias(name) for name in columns if name not in rows.columns]
    number = pl.int_range(first, first + rows.height, dtype=pl.Int64).alias(ORDER)
    return rows.with_columns(*lacking, number).rename(dict(zip(PLACE, (OFFSET, INDEX), strict=True)))
