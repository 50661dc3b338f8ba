"""The node that calls a function: it takes rows, and gives them back tile by tile with what it returns."""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from operators.node import Context
from operators.rows.groups import NO_GROUP, Groups
from operators.sealed import Entries, RowKeys, Sealed, Snapshot, Statuses
from operators.tiles.calls import FailedTile, TileError, called, failure_words, traceback_words
from operators.tiles.held import HeldRows, Tile
from operators.tiles.settings import TileSettings, UserFunction
from operators.tiles.state import Standing, TileState
from schemas.batch import Int64s
from schemas.clocks import BEGINNING_NS
from schemas.reasons import DOMAIN, FAILED, NULL_IN, OFF, WARMING

# What may be otherwise the next time: memory, files, and what they are read from.
PASSING: Final = (MemoryError, OSError)


class PlannedTiles(NamedTuple):
    """What a node with a function computes.

    `upstream`  the columns of its input, and `read` those of them that the function gets.
    `layout`    of its rows: those of its input, and what the function gives.
    """

    settings: TileSettings
    function: UserFunction
    upstream: pa.Schema
    layout: pa.Schema
    read: tuple[str, ...]

    @property
    def returns(self) -> tuple[pa.Field, ...]:
        """The columns that the function gives."""
        return tuple(self.layout)[len(self.upstream) :]


class TileNode:
    """Calls a function with each tile that has ended and its context (`Node`).

    A tile has the rows of all symbols whose time is in it.  Of a row without a symbol the columns are null,
    and the function does not see it.  Rows come out in the order in which they came.
    """

    def __init__(self, name: str, meaning: str, planned: PlannedTiles, groups: Groups) -> None:
        self.name = name
        self.meaning = meaning
        self.layout = planned.layout
        settings = planned.settings
        self.needs = Context(settings.rows, settings.tile_ns + settings.ns, settings.tile_ns)
        self.failed: list[FailedTile] = []  # since `failures` was asked last
        self._planned = planned
        self._held = HeldRows(planned.upstream, settings.rows, settings.ns)
        self._state = TileState(name, planned.upstream, groups)
        self._standing = Standing()
        self._models = planned.function.models
        self._changes = -1  # as `Models.changes` was when what it says was compared last

    def take(self, upstream: tuple[Sealed, ...]) -> Sealed:
        """Take rows; return those of the tiles that have ended.

        Raises TileError where a tile must not be null and cannot be had, or too many rows are held.
        """
        (sealed,) = upstream
        self._require_same_models()
        ended_ns = sealed.complete_ns
        if sealed.rows is not None and sealed.rows.num_rows:
            keys = sealed.keys
            assert keys is not None, f"node {self.name} runs its function by symbol: its rows need keys"
            if self._standing.first_ns is None:
                self._standing = self._standing._replace(first_ns=int(keys.time_ns[0]))
            self._held.add(sealed.rows, keys.group, keys.time_ns)
            ended_ns = max(ended_ns, int(keys.time_ns[-1]))  # rows come in order
        made = [self._made(tile) for tile in self._held.tiles(ended_ns, self._planned.settings.tile_ns)]
        sealed = self._joined(made, sealed.complete_ns)
        self._held.forget()
        self._require_room()
        return sealed

    def snapshot(self) -> Snapshot:
        """Return what changed: rows, and how the function stands."""
        return self._state.snapshot(self._held, self._standing)

    def restore(self, entries: Entries) -> None:
        """Take back what snapshots held; raises NodeStateError where it is damaged."""
        kept = dict(entries)
        if kept:
            self._standing = self._state.restore(self._held, kept)

    def failures(self) -> list[FailedTile]:
        """The tiles that failed since this was asked last."""
        failed, self.failed = self.failed, []
        return failed

    def _made(self, tile: Tile) -> "_Made":
        """What the function gives for the rows of a tile."""
        group = self._held.store.group
        known = tile.rows[group[tile.rows] != NO_GROUP]
        places = np.concatenate([tile.context, known])
        begin_ns = tile.end_ns - self._planned.settings.tile_ns
        if self._models is not None:
            self._use_models(self._models.digest(begin_ns))
            if self._models.at(begin_ns) is None:
                return self._without(tile, WARMING)
        if self._standing.off:
            return self._without(tile, OFF)
        columns = self._called(tile, places)
        return self._without(tile, FAILED) if columns is None else self._with(tile, known, places, columns)

    def _use_models(self, used: str) -> None:
        """Tiles are run through the models of this digest; a new model has not failed yet."""
        if used != self._standing.used:
            self._standing = self._standing._replace(failures=0, off=False, used=used)

    def _require_same_models(self) -> None:
        """Raise TileError where a tile that came out was run through another model than is said of it now."""
        models = self._models
        if models is None or models.changes == self._changes:
            return
        last_ns = self._held.ended_ns - self._planned.settings.tile_ns  # where the last tile began
        if self._held.ended_ns != BEGINNING_NS and models.digest(last_ns) != self._standing.used:
            valid = models.at(last_ns)
            now = "there is none" if valid is None else f"{valid.sha256[:12]} is, from {valid.valid_from_ns}"
            raise TileError(
                f"node {self.name}: its rows up to the tile at {last_ns} came out by other models than are "
                f"recorded as valid by then (of the last of these rows {now}): a record came too late, was "
                f"changed or was taken back.  Show them with `python -m app graph models {self.name}`, take "
                "back what came too late, and publish it with a later moment"
            )
        self._changes = models.changes

    def _without(self, tile: Tile, reason: int) -> "_Made":
        fields = self._planned.returns
        why = np.full(tile.rows.size, reason, np.uint8)
        return _Made(tile.rows, [pa.nulls(why.size, field.type) for field in fields], [why] * len(fields))

    def _called(self, tile: Tile, places: Int64s) -> list[pa.Array] | None:
        """What the function gives for rows; None where it fails."""
        planned, held = self._planned, self._held
        if places.size == tile.context.size:  # no row has a symbol
            return [pa.nulls(0, field.type) for field in planned.returns]
        fields = [planned.upstream.field(name) for name in planned.read]
        rows = pa.RecordBatch.from_arrays(held.gather(places, planned.read), schema=pa.schema(fields))
        try:
            run = planned.function.run_at(tile.end_ns - planned.settings.tile_ns)
            assert run is not None, "no model is valid"
            columns = called(run, rows, planned.returns)
        except PASSING as passing:
            raise TileError(self._words(tile, failure_words(passing))) from passing
        except TileError:
            raise
        except Exception as failure:  # whatever the function of somebody else raises
            self._fail(tile, failure)
            return None
        self._standing = self._standing._replace(failures=0)
        return [column.slice(tile.context.size) for column in columns]

    def _fail(self, tile: Tile, failure: Exception) -> None:
        settings, standing = self._planned.settings, self._standing
        if settings.stops:
            raise TileError(self._words(tile, failure_words(failure))) from failure
        # A node that starts anew in the midst of its rows lacks the context of the first tiles.
        begin_ns = tile.end_ns - settings.tile_ns - settings.ns
        counts = not settings.ns or (standing.first_ns is not None and begin_ns >= standing.first_ns)
        failures = standing.failures + counts
        off = failures >= settings.failures_max
        self._standing = standing._replace(failures=failures, off=off)
        self.failed.append(
            FailedTile(
                node=self.name,
                place=self._planned.function.place,
                begin_ns=tile.end_ns - settings.tile_ns,
                end_ns=tile.end_ns,
                rows=tile.rows.size,
                reason=failure_words(failure),
                traceback=traceback_words(failure, self._planned.function.place),
                off=off,
            )
        )

    def _with(self, tile: Tile, known: Int64s, places: Int64s, columns: list[pa.Array]) -> "_Made":
        """Columns for all rows of the tile, and why each value is null."""
        made = _Made(tile.rows, [], [])
        warming: npt.NDArray[np.bool_] | None = None
        for field, column in zip(self._planned.returns, columns, strict=True):
            why = np.zeros(known.size, np.uint8)
            if column.null_count:
                warming = self._warming(places, known.size) if warming is None else warming
                null = _bools(column.is_null())
                why[null] = np.where(warming[null], WARMING, NULL_IN)
            if pa.types.is_floating(field.type):
                strange = _bools(pc.fill_null(pc.invert(pc.is_finite(column)), False))
                if strange.any():
                    why[strange] = DOMAIN
                    column = pc.if_else(pa.array(strange), pa.scalar(None, field.type), column)
            if known.size < tile.rows.size:
                column, why = self._spread(tile, known, column, why)
            made.columns.append(column)
            made.reasons.append(why)
        return made

    def _spread(
        self, tile: Tile, known: Int64s, column: pa.Array, why: Statuses
    ) -> tuple[pa.Array, Statuses]:
        """A column for all rows of a tile, null where a row has no symbol."""
        at = known - tile.rows[0]
        place = np.full(tile.rows.size, -1, np.int64)
        place[at] = np.arange(known.size)
        whole = np.full(tile.rows.size, NULL_IN, np.uint8)
        whole[at] = why
        return column.take(pa.array(place, mask=place < 0)), whole

    def _warming(self, places: Int64s, rows: int) -> npt.NDArray[np.bool_]:
        """Which of the last rows have fewer rows of their symbol before them than the context has."""
        group = self._held.store.group[places]
        order = np.argsort(group, kind="stable")
        begins = np.searchsorted(group[order], group[order])
        number = np.empty(places.size, np.int64)
        number[order] = np.arange(places.size) - begins
        return number[places.size - rows :] < self._planned.settings.rows

    def _joined(self, made: "list[_Made]", complete_ns: int) -> Sealed:
        """The rows of all tiles that ended."""
        held, fields = self._held, self._planned.returns
        first_ns = held.first_ns
        complete_ns = complete_ns if first_ns is None else min(complete_ns, first_ns)
        if not made:
            return Sealed(None, complete_ns)
        places = np.arange(made[0].rows[0], made[-1].rows[-1] + 1, dtype=np.int64)
        columns = held.gather(places, held.store.names)
        columns += [pa.concat_arrays([one.columns[n] for one in made]) for n in range(len(fields))]
        whys = [np.concatenate([one.reasons[n] for one in made]) for n in range(len(fields))]
        return Sealed(
            pa.RecordBatch.from_arrays(columns, schema=self.layout),
            complete_ns,
            keys=RowKeys(held.store.group[places], held.store.time_ns[places]),
            reasons={field.name: why for field, why in zip(fields, whys, strict=True) if why.any()},
        )

    def _require_room(self) -> None:
        limit = self._planned.settings.rows_max
        if self._held.count > limit:
            self._held.forget(now=True)
        if self._held.count > limit:
            raise TileError(
                f"node {self.name} holds {self._held.count:,} rows of open tiles and of context, and "
                f"graph.{self.name}.rows_max is {limit:,}: shorten the tile or the context, or raise that"
            )

    def _words(self, tile: Tile, why: str) -> str:
        begin_ns = tile.end_ns - self._planned.settings.tile_ns
        return f"{self._planned.function.place}: node {self.name}, tile {begin_ns} to {tile.end_ns}: {why}"


class _Made(NamedTuple):
    """Of the rows at these places what a function gives, by column, and why it is null."""

    rows: Int64s
    columns: list[pa.Array]
    reasons: list[Statuses]


def _bools(column: pa.Array) -> npt.NDArray[np.bool_]:
    return np.asarray(column.to_numpy(zero_copy_only=False), np.bool_)
