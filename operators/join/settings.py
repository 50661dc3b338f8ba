"""The settings of one streaming as-of join, checked once, before the first row."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

import pyarrow as pa

from operators.formula.suggest import did_you_mean
from operators.rows.held import held_stream
from schemas.clocks import Clock
from schemas.frame import LEFT_INDEX, LEFT_OFFSET, layout_fingerprint
from schemas.key_types import comparable
from schemas.rule import Carry, Direction, Rule, rule_digest
from schemas.stream import SEPARATOR, Stream

BUFFER_SIZE_MAX: Final = 64 << 20  # bytes
BUFFER_ROWS_MAX: Final = 50_000_000
# A left row that looks ahead waits this long; a row's time (`schemas.clocks`) and 146 years fit 64 bits.
HOLD_NS_MAX: Final = 1 << 62


class SettingsError(ValueError):
    """The join cannot be done as asked; the message names the setting, its value and what is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AsofSettings:
    """One left stream, the right streams looked up for each of its rows, and how a match is chosen.

    `left`, `rights`    the inputs; rows match where the key columns of both are equal, by position.  Columns
                        have the types in which they are held and come out (`operators.rows.held`).
    `beside`            inputs that are not joined: they hold the frontier as any other, and nodes of a graph
                        read them.
    `clock`             the time column all of them are joined on.
    `direction`         `backward`; with a tolerance also `forward` and `nearest`, which wait for later rows.
    `allow_exact`       whether a right row of exactly the left time matches.
    `tolerance_ns`      the farthest right row that still matches, inclusive; None for no bound.
    `carry`             `row`: the matched row as it is; `column`: per column the last non-null value.
    `grace_ns`          per stream, how far its watermark trails its newest row; 0 where not named.
    `buffer_size_max`   per stream, bytes of unsealed rows before it is paused; 64 MiB where not named.
    `buffer_rows_max`   per stream, the same in rows; 50 million where not named.
    `columns`           per right stream, the columns to look up; all but the key where not named.
    `max_ahead_ns`      a time further ahead is set aside; None for no limit.
    `max_ahead_of`      ... ahead of the `wall` clock, or of the `inputs` (see `operators.inputs.max_ahead`).
    """

    left: Stream
    rights: tuple[Stream, ...]
    beside: tuple[Stream, ...] = ()
    clock: Clock = "event"
    direction: Direction = "backward"
    allow_exact: bool = True
    tolerance_ns: int | None = None
    carry: Carry = "row"
    grace_ns: Mapping[str, int] = field(default_factory=dict)
    buffer_size_max: Mapping[str, int] = field(default_factory=dict)
    buffer_rows_max: Mapping[str, int] = field(default_factory=dict)
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    max_ahead_ns: int | None = None
    max_ahead_of: Literal["wall", "inputs"] = "wall"

    def __post_init__(self) -> None:
        self._require_match()
        self._require_names()
        for right in self.rights:
            self._require_group(right)
        object.__setattr__(self, "left", held_stream(self.left))
        object.__setattr__(self, "rights", tuple(map(held_stream, self.rights)))
        object.__setattr__(self, "beside", tuple(map(held_stream, self.beside)))
        self._require_types()
        self.aligned_schema()

    @property
    def streams(self) -> tuple[Stream, ...]:
        """Every input, the left one first, those that are not joined last."""
        return (*self.joined, *self.beside)

    @property
    def joined(self) -> tuple[Stream, ...]:
        """The inputs of the join, the left one first."""
        return (self.left, *self.rights)

    @property
    def hold_ns(self) -> int:
        """How far behind the frontier a left row may still wait for its match: 0 where none looks ahead."""
        if self.direction == "backward":
            return 0
        assert self.tolerance_ns is not None
        return self.tolerance_ns

    def looked_up(self, right: Stream) -> tuple[str, ...]:
        """The columns of a right stream that reach the output, without its keys and its clock."""
        on = right.require_clock(self.clock)
        chosen = self.columns.get(right.name, tuple(right.schema.names))
        return tuple(n for n in right.schema.names if n in chosen and n not in right.key and n != on)

    def carried_by_column(self, stream: Stream) -> tuple[str, ...]:
        """The columns of a right stream of which each carries its own last value; none of any other."""
        is_right = any(stream.name == right.name for right in self.rights)
        return self.looked_up(stream) if self.carry == "column" and is_right else ()

    def aligned_schema(self) -> pa.Schema:
        """The columns of the output, in order; what comes from a right stream is nullable."""
        fields = list(self.left.schema)
        for right in self.rights:
            fields += [
                pa.field(f"{right.name}_{name}", right.schema.field(name).type)
                for name in self.looked_up(right)
            ]
            fields.append(pa.field(f"{right.name}_{right.require_clock(self.clock)}", pa.int64()))
            fields.append(pa.field(f"{right.name}_age_ns", pa.int64()))
        fields.append(pa.field(LEFT_OFFSET, pa.int64(), nullable=False))
        fields.append(pa.field(LEFT_INDEX, pa.int32(), nullable=False))
        names = [f.name for f in fields]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise SettingsError(
                f"the output would have columns twice: {', '.join(twice)}; rename a stream or choose columns"
            )
        return pa.schema(fields)

    def fingerprint(self) -> str:
        """16 hex digits that are equal where kept state means the same: inputs, columns, matching rules."""
        lines = [f"{self.clock} {self.direction} {self.carry} {self.allow_exact} {self.tolerance_ns}"]
        for stream in self.joined:
            kept = stream.schema.names if stream is self.left else self.looked_up(stream)
            layout = layout_fingerprint(pa.schema([stream.schema.field(n) for n in kept]))
            # Groups lie under their keys, which were written in another way before they could be told apart.
            key = SEPARATOR.join(stream.key)
            lines.append(f"{stream.name} {key} {stream.sequence} {layout}")
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]

    def rule(self, formulas: str = "") -> Rule:
        """The rule of the rows that this join gives; `formulas` where more is computed from them."""
        keys = [f"{one.name} {SEPARATOR.join(one.key)} {one.sequence}" for one in self.joined]
        return Rule(
            clock=self.clock,
            direction=self.direction,
            allow_exact=self.allow_exact,
            tolerance_ns=self.tolerance_ns,
            carry=self.carry,
            columns=rule_digest(layout_fingerprint(self.aligned_schema())),
            keys=rule_digest(*keys),
            formulas=formulas,
        )

    def _require_match(self) -> None:
        if self.tolerance_ns is not None and self.tolerance_ns < 0:
            raise SettingsError(f"tolerance_ns is {self.tolerance_ns}; it must be 0 or more, or None")
        if self.max_ahead_ns is not None and self.max_ahead_ns < 0:
            raise SettingsError(f"max_ahead_ns is {self.max_ahead_ns}; it must be 0 or more, or None")
        if self.carry == "column" and self.direction != "backward":
            raise SettingsError(
                f'carry = "column" looks back in time; it needs backward, not {self.direction}'
            )
        if self.direction != "backward" and self.tolerance_ns is None:
            raise SettingsError(
                f"direction {self.direction} in a stream needs tolerance_ns: "
                "without it a left row would wait for its match without bound"
            )
        if self.direction != "backward" and self.hold_ns > HOLD_NS_MAX:
            raise SettingsError(
                f"tolerance_ns is {self.tolerance_ns}; a left row that waits for its match needs at most "
                f"{HOLD_NS_MAX} (146 years)"
            )

    def _require_names(self) -> None:
        names = [stream.name for stream in self.streams]
        if not self.rights:
            raise SettingsError(f"stream {self.left.name} has no right stream to be joined with")
        if len(set(names)) != len(names):
            raise SettingsError(f"stream names must differ, got {', '.join(names)}")
        for setting in ("grace_ns", "buffer_size_max", "buffer_rows_max"):
            for name, value in getattr(self, setting).items():
                if name not in names:
                    raise SettingsError(f"{setting} names {name!r}; the streams are {', '.join(names)}")
                if value < 0:
                    raise SettingsError(f"{setting} of {name} is {value}; it must be 0 or more")
        for stream in self.streams:
            stream.require_clock(self.clock)
        rights = {right.name: right for right in self.rights}
        for name, chosen in self.columns.items():
            if name not in rights:
                raise SettingsError(f"columns names {name!r}; the right streams are {', '.join(rights)}")
            schema = rights[name].schema
            for column in chosen:
                if column not in schema.names:
                    raise SettingsError(
                        f"stream {name} has no column {column!r}{did_you_mean(column, schema.names)}; it has "
                        f"{', '.join(schema.names)}"
                    )

    def _require_types(self) -> None:
        for stream in self.streams:
            for column in stream.schema:
                try:
                    pa.array([], column.type).take(pa.array([], pa.int64()))
                except pa.ArrowNotImplementedError:
                    raise SettingsError(
                        f"stream {stream.name}: rows cannot be picked from column {column.name} of type "
                        f"{column.type}; cast it to one of the plain types"
                    ) from None

    def _require_group(self, right: Stream) -> None:
        if len(right.key) != len(self.left.key):
            raise SettingsError(
                f"rows match by equal keys, but {self.left.name} has {len(self.left.key)} key columns "
                f"and {right.name} has {len(right.key)}"
            )
        for mine, other in zip(self.left.key, right.key, strict=True):
            types = self.left.schema.field(mine).type, right.schema.field(other).type
            if not comparable(*types):
                raise SettingsError(
                    f"rows match by equal keys, but {mine} of {self.left.name} is {types[0]} and {other} of "
                    f"{right.name} is {types[1]}: cast one to the type of the other"
                )
