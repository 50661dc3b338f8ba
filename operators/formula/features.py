"""The features of one node: formulas in order, each over the columns of the input and the features above it.

All that is wrong with any of them is collected: a feature that cannot be used does not hide what is wrong
with those that use it, and is not reported again there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, NamedTuple

import pyarrow as pa
from pyarrow import types

from operators.formula.cuts import add_cuts
from operators.formula.errors import FormulaError
from operators.formula.functions.declare import Memory, widest
from operators.formula.functions.table import FUNCTIONS
from operators.formula.history import STATEFUL, Reach, Start, farthest, latest_start, own_reach
from operators.formula.meaning import begins_anew, column_meaning, node_meaning, step_meanings
from operators.formula.names import wrong_name
from operators.formula.read import read_formula
from operators.formula.steps import Step, Steps, Texts
from operators.formula.suggest import suggest
from operators.formula.tree import Absent, Broken, Call, Constant, Name, Text, Tree
from operators.formula.types import (
    ARROW_TYPES,
    EQUALITY,
    ORDERING,
    SWAPPED,
    Kind,
    is_text,
    kind_of,
    mismatches,
)
from operators.formula.units import Unit, column_unit, strangers, unit_of, unit_words

FEATURES_MAX: Final = 1_000  # of one node
STEPS_MAX: Final = 4_000  # of one node: each has a register, 18 KB of memory


class Source(NamedTuple):
    """The rows that formulas read.

    `name`       of the node or root, for messages.
    `layout`     the columns; None where they are not known, since the node has errors of its own.
    `rows`       the meaning of the root: which rows these are.
    `meanings`   of each column.
    `broken`     columns that are there and have an error of their own.
    `memories`   of columns that are features: which rows they hang on, `reaches` how far back, and `starts`
                 since when.
    `sessions`   the meaning of the venue's sessions.
    `scales`     of columns that enter formulas as whole numbers of units of 1/scale.
    `units`      of columns, as far as they are known.
    `labels`     the columns that are made of later rows, which no formula may read.
    """

    name: str
    layout: pa.Schema | None
    rows: str = ""
    meanings: Mapping[str, str] = {}
    broken: frozenset[str] = frozenset()
    memories: Mapping[str, Memory] = {}
    reaches: Mapping[str, Reach] = {}
    starts: Mapping[str, Start] = {}
    sessions: str = ""
    scales: Mapping[str, int] = {}
    units: Mapping[str, Unit] = {}
    labels: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Features:
    """What a node of formulas computes.

    `columns`    the names of the features, in order.
    `layout`     the columns of the input, then the features, which are nullable.
    `steps`      all that is computed, and `roots` the place of each feature's own step.
    `rows`       the meaning of the root: which rows these are.
    `meanings`   of each column of the layout.
    `memories`   of each feature, of this node and of those it comes from: which rows it hangs on.
    `reaches`    of each of these: how far back the rows of its windows are.
    `starts`     of each of these: since when it hangs on all rows.
    `units`      of each feature of this node, as far as they are known.
    `cuts`       of each feature the step that is true where a window of it was cut, None where none can be.
    `regular_hours`  whether rows outside every session are no rows to what looks back.
    """

    columns: tuple[str, ...]
    layout: pa.Schema
    steps: tuple[Step, ...]
    roots: tuple[int, ...]
    rows: str
    meanings: Mapping[str, str]
    memories: Mapping[str, Memory]
    reaches: Mapping[str, Reach]
    starts: Mapping[str, Start]
    units: Mapping[str, Unit]
    cuts: tuple[int | None, ...] = ()
    regular_hours: bool = False

    @property
    def meaning(self) -> str:
        """16 hex digits that are equal where the same features are computed for the same rows."""
        return node_meaning("formula", self.rows, [(name, self.meanings[name]) for name in self.columns])


def root_source(
    name: str,
    layout: pa.Schema,
    rows: str = "",
    sessions: str = "",
    scales: Mapping[str, int] | None = None,
) -> Source:
    """The rows of a root, whose meaning is `rows`; `sessions` is that of the sessions."""
    scales = scales or {}
    meanings = {field.name: column_meaning(rows, field) for field in layout}
    units = {column: column_unit(scales.get(column, 1)) for column in layout.names}
    return Source(name, layout, rows, meanings, sessions=sessions, scales=scales, units=units)


def read_features(
    node: str, source: Source, formulas: Mapping[str, str], *, regular_hours: bool = False
) -> tuple[Features | None, dict[str, list[FormulaError]]]:
    """Return the features, None where any has an error, and the errors by feature.

    With `regular_hours` rows outside every session are no rows to what looks back.
    An error at (0, 0) is of the feature's name and not of a place in its formula.
    """
    reading = _Reading(node, source, list(formulas))
    for column, text in formulas.items():
        reading.read(column, text)
    errors = {column: wrong for column, wrong in reading.errors.items() if wrong}
    if errors or source.layout is None or source.broken:
        return None, errors
    places = {column: place for column, place in reading.features.items() if place is not None}
    assert len(places) == len(formulas), "a feature without an error has a step"
    cuts = add_cuts(reading.steps, list(places.values()))
    steps = tuple(reading.steps.steps)
    fields = [pa.field(name, ARROW_TYPES[steps[place].kind]) for name, place in places.items()]
    of_steps = step_meanings(steps, source.meanings, source.sessions, regular_hours=regular_hours)
    meanings = {**source.meanings, **{name: of_steps[place] for name, place in places.items()}}
    layout = pa.schema([*source.layout, *fields])
    pasts = _pasts(steps, source)
    memories = {**source.memories, **{name: pasts[place].memory for name, place in places.items()}}
    reaches = {**source.reaches, **{name: pasts[place].reach for name, place in places.items()}}
    starts = {**source.starts, **{name: pasts[place].start for name, place in places.items()}}
    made = Features(
        tuple(places),
        layout,
        steps,
        tuple(places.values()),
        source.rows,
        meanings,
        memories,
        reaches,
        starts,
        reading.units_of(places),
        cuts,
        regular_hours,
    )
    return made, errors


class _Past(NamedTuple):
    """Which rows a value hangs on, how far back they are, and since when it hangs on all."""

    memory: Memory
    reach: Reach
    start: Start


def _pasts(steps: Sequence[Step], source: Source) -> list[_Past]:
    """Of each step."""
    pasts: list[_Past] = []
    for step in steps:
        if step.reads:
            memory = widest(source.memories.get(column, "row") for column in step.reads)
            reach = farthest([source.reaches.get(column, Reach()) for column in step.reads])
            start = latest_start([source.starts.get(column, "") for column in step.reads])
            pasts.append(_Past(memory, reach, start))
            continue
        made_of = [pasts[place] for place in step.operands]
        memories = {past.memory for past in made_of}
        reach = farthest([past.reach for past in made_of])
        starts = [past.start for past in made_of]
        what = STATEFUL.get(step.function)
        if what is not None:
            if what.history == "since":
                starts.append("session" if begins_anew(steps, step) else "genesis")
            constants = [steps[place].bits for place in step.operands[what.values :]]
            memories.add(what.history)
            reach = own_reach(step.function, constants).behind(reach)
        pasts.append(_Past(widest(memories), reach, latest_start(starts)))
    return pasts


class _Reading:
    """Reads formulas one after another; `features` has the step of each so far, None for a broken one."""

    def __init__(self, node: str, source: Source, columns: list[str]) -> None:
        self._node = node
        self._source = source
        self._columns = columns
        self.steps = Steps()
        self.features: dict[str, int | None] = {}
        self.errors: dict[str, list[FormulaError]] = {}
        self._units: list[Unit] = []

    def units_of(self, places: Mapping[str, int]) -> dict[str, Unit]:
        """The units of features by their steps; a constant has none of its own."""
        units = {name: self._units[place] for name, place in places.items()}
        return {name: None if unit == "any" else unit for name, unit in units.items()}

    def read(self, column: str, text: str) -> None:
        """Read one feature."""
        errors = self.errors.setdefault(column, [])
        wrong = self._wrong_name(column)
        if wrong:
            errors.append(FormulaError(wrong, 0, 0))
        tree, faults = read_formula(text)
        errors += faults
        self.features[column] = None
        place = self._place(column, tree, errors)
        self._new_units()
        if len(self.steps.steps) > STEPS_MAX:
            why = f"the features up to this one need more than {STEPS_MAX} steps; put some into another node"
            errors.append(FormulaError(why, 0, 0))
        if not errors:
            self.features[column] = place

    def _wrong_name(self, column: str) -> str:
        """Why a feature cannot have this name; empty where it can."""
        layout = self._source.layout
        if len(self.features) >= FEATURES_MAX:
            return f"a node has at most {FEATURES_MAX} features"
        if layout is not None and column in layout.names:
            return f"{self._source.name} has a column {column} already; a feature needs a name of its own"
        return wrong_name(column)

    def _place(self, column: str, tree: Tree, errors: list[FormulaError]) -> int | None:
        """The step of a tree, None where there is none or its kind is not known; faults go to `errors`."""
        match tree:
            case Constant():
                return self.steps.constant(tree.value)
            case Name():
                return self._named(column, tree, errors)
            case Absent() | Text():  # of a comparison of texts, which looks at its sides itself
                return None
            case Broken():
                for operand in tree.operands:
                    self._place(column, operand, errors)
                return None
            case Call():
                return self._called(column, tree, errors)

    def _called(self, column: str, call: Call, errors: list[FormulaError]) -> int | None:
        if call.function in EQUALITY | ORDERING and any(map(self._is_text, call.operands)):
            return self._compared_texts(column, call, errors)
        places = [self._place(column, operand, errors) for operand in call.operands]
        kinds: list[Kind | None] = [None if place is None else self.steps.kind(place) for place in places]
        function = FUNCTIONS.get(call.function)
        wrong = function.misfits(kinds) if function else mismatches(call.function, kinds)
        for number, why in wrong:
            operand = call.operands[number]
            errors.append(FormulaError(why, operand.start, operand.end))
        known = [place for place in places if place is not None]
        absent = sum(isinstance(operand, Absent) for operand in call.operands)
        if wrong or len(known) + absent < len(places):
            return None
        self._new_units()
        if function:
            place = function.add(self.steps, places, dict(call.settings))
        else:
            place = self.steps.call(call.function, known)
        if (apart := self._new_units()) is not None:
            first, second = map(unit_words, apart)
            why = f"units of two scales are never compared or added: {first}, and {second}"
            errors.append(FormulaError(why, call.start, call.end))
        return place

    def _is_text(self, tree: Tree) -> bool:
        """Whether a side of a comparison is a text, or a column of texts that may be read."""
        source = self._source
        if not isinstance(tree, Name) or source.layout is None or tree.name not in source.layout.names:
            return isinstance(tree, Text)
        readable = tree.name not in source.labels | source.broken
        return readable and is_text(source.layout.field(tree.name).type)

    def _compared_texts(self, column: str, call: Call, errors: list[FormulaError]) -> int | None:
        left, right = call.operands
        function = call.function
        if isinstance(left, Text):
            left, right, function = right, left, SWAPPED.get(function, function)
        for side in (left, right):
            if not self._is_text(side) and self._place(column, side, errors) is not None:
                why = "a text is compared with a text or a column of texts, and this is neither"
                errors.append(FormulaError(why, side.start, side.end))
        if isinstance(left, Text):
            errors.append(FormulaError("two texts are always the same or not", call.start, call.end))
        if not isinstance(left, Name) or not isinstance(right, Name | Text):
            return None
        if not (self._is_text(left) and self._is_text(right)):
            return None
        constant = isinstance(right, Text)
        other = right.value if isinstance(right, Text) else right.name
        return self.steps.texts(Texts(function, left.name, other, constant))

    def _new_units(self) -> tuple[Unit, Unit] | None:
        """Find the units of the steps that are new; returns two that one of them puts side by side."""
        apart = None
        steps = self.steps.steps
        for place in range(len(self._units), len(steps)):
            apart = apart or strangers(steps[place], self._units)
            self._units.append(unit_of(steps, place, self._source.units, self._units))
        return apart

    def _scaled(self, name: str, of_column: pa.DataType, scale: int) -> int:
        """The step of a column in units of 1/scale."""
        if types.is_floating(of_column):
            return self.steps.units(self.steps.column(name, "float64"), float(scale))
        assert types.is_decimal128(of_column), "a scale of a column that has none"
        part = Fraction(scale, 1) / Fraction(10) ** of_column.scale
        return self.steps.units(self.steps.column(name, "int64"), part.numerator, part.denominator)

    def _named(self, column: str, tree: Name, errors: list[FormulaError]) -> int | None:
        name, source = tree.name, self._source
        if name in self.features and name != column:
            return self.features[name]
        if source.layout is None or name in source.broken:
            return None
        if name in source.labels:
            why = f"{name} is a label, made of later rows: it is trained on and joined, and never a feature"
            errors.append(FormulaError(why, tree.start, tree.end))
            return None
        if name in source.layout.names:
            of_column = source.layout.field(name).type
            if name in source.scales:
                return self._scaled(name, of_column, source.scales[name])
            kind = kind_of(of_column)
            if kind is not None:
                return self.steps.column(name, kind)
            why = f"{name} is {of_column}; a formula computes with numbers and booleans"
            why += ", and compares texts: x == 'N'" if is_text(of_column) else ""
            if types.is_decimal128(of_column):
                why += ", and with a decimal where [streams.NAME.scales] gives it a scale"
        elif name == column:
            why = f"{name} is this feature itself"
        elif name in self._columns:
            why = f"{name} is a feature further down; a formula sees those above it"
        elif name in FUNCTIONS:
            why = f"{name} is a function; give it its values in brackets"
        else:
            above = (feature for feature in self.features if feature != column)
            known = [*source.layout.names, *above, "True", "False"]
            why = f"{source.name} has no column {name}{suggest(name, known)}"
        errors.append(FormulaError(why, tree.start, tree.end))
        return None
