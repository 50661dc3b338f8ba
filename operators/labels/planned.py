"""A label of rows whose columns are known: what it reads and adds, and the node that makes it."""

from dataclasses import fields
from typing import NamedTuple

import pyarrow as pa

from operators.formula.meaning import digest
from operators.labels.halts import require_same_keys, require_statuses
from operators.labels.inputs import require_columns, require_new, require_numbers
from operators.labels.node import LabelNode
from operators.labels.outputs import LABEL, fields_of
from operators.labels.settings import Bins, Label, label_meaning
from operators.labels.spread_node import (
    LaterMid,
    SpreadNode,
    Upstreams,
    join_of,
    spread_fields,
    spread_meaning,
)
from operators.node import Node
from operators.rows.groups import Groups
from operators.sessions.sessions import Sessions
from schemas.clocks import Clock


class PlannedLabel(NamedTuple):
    """What a node of labels computes.

    `key`      of its table, such as `triple_barrier`.
    `rows`     the columns of the rows that are labelled, `row_key` those that tell their symbols apart.
    `beside`   the columns of the rows that it reads beside these, and `beside_key`: of a spread those with
               the later mids, of a label with halts those with statuses; else empty.
    """

    key: str
    settings: Label | LaterMid
    sessions: Sessions
    clock: Clock
    rows: pa.Schema
    row_key: tuple[str, ...]
    beside: pa.Schema = pa.schema([])
    beside_key: tuple[str, ...] = ()

    @property
    def fields(self) -> list[pa.Field]:
        """The columns that are added to the rows, in order."""
        own = self.settings
        return spread_fields(own) if isinstance(own, LaterMid) else fields_of(own)

    @property
    def values(self) -> tuple[str, ...]:
        """Those of them whose nulls have reasons."""
        return self.settings.values if isinstance(self.settings, LaterMid) else (LABEL,)

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns of the rows that it hangs on."""
        own = self.settings
        return (own.price, own.direction, own.mid) if isinstance(own, LaterMid) else own.columns

    @property
    def reads_beside(self) -> tuple[str, ...]:
        """Those of the rows beside them."""
        own = self.settings
        if isinstance(own, LaterMid):
            return (own.mid,)
        return () if own.halted is None else (own.halted,)

    @property
    def since_ever(self) -> bool:
        """Whether a label may hang on rows however old.

        They are a quote or a status that stands, events that crowd it out, or labels that its edges follow.
        """
        own = self.settings
        if isinstance(own, LaterMid) or own.across_sessions or own.halted is not None:
            return True
        return isinstance(own, Bins) and own.trailing is not None

    @property
    def price(self) -> str:
        """The column of the price."""
        return self.settings.price

    @property
    def bound_ns(self) -> int:
        """How long a row waits at most."""
        own = self.settings
        return own.horizon_ns if isinstance(own, LaterMid) else own.bound_ns

    def describe(self) -> str:
        """Which label it is, with all its settings that are not as they are by themselves."""
        own = self.settings
        options = [
            f"{field.name} {value}"
            for field in fields(own)
            if (value := getattr(own, field.name)) != field.default
        ]
        return f"{self.key} of {', '.join(options)}"

    def require(self) -> None:
        """Raise LabelError, or StreamError and SettingsError of a join, where the columns do not bear it."""
        own = self.settings
        if isinstance(own, LaterMid):
            require_numbers(self.rows, self.reads)
            require_numbers(self.beside, (own.mid,))
            join_of(self._upstreams, own, self.clock).aligned_schema()
        else:
            require_columns(own, self.rows)
            if own.halted is not None:
                require_statuses(own.halted, self.beside)
                require_same_keys(self.rows, self.row_key, self.beside, self.beside_key)
        require_new(self.fields, self.rows)

    def meaning(self, rows: str, beside: str = "") -> str:
        """16 hex digits that are equal where the same labels come of the same rows, by their meanings."""
        own = self.settings
        if isinstance(own, LaterMid):
            return digest(self.clock, spread_meaning(own, rows, beside, self.sessions))
        meaning = digest(self.clock, label_meaning(own, rows, self.sessions))
        return meaning if own.halted is None else digest("halted", meaning, beside)

    def node(self, name: str, meaning: str, groups: Groups) -> Node:
        """A new node."""
        own = self.settings
        if isinstance(own, LaterMid):
            return SpreadNode(name, self._upstreams, own, groups, self.clock, self.sessions, meaning)
        return LabelNode(name, meaning, self.rows, own, groups, self.sessions)

    @property
    def _upstreams(self) -> Upstreams:
        return Upstreams(self.rows, self.beside, self.row_key, self.beside_key)
