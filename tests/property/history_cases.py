"""Random calls of functions that look back, rows for them, and what the oracle gives for these."""

import math
import os
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import combinations, pairwise
from random import Random
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
from hypothesis import assume
from hypothesis import strategies as st

from operators.formula.features import Features, read_features, root_source
from operators.formula.functions.declare import Function, Operand, Setting
from operators.formula.functions.table import FUNCTIONS
from operators.formula.types import Kind, kind_of
from operators.nodes.formula import FormulaNode
from operators.rows.groups import Groups
from operators.sealed import RowKeys, Sealed
from tests.oracles.features.rows import Column, Rows
from tests.oracles.features.table import ORACLES
from tests.property.model_tables import TABLES

LOOKING_BACK: Final = [function.name for function in FUNCTIONS.values() if function.memory != "row"]
PLAIN_PYTHON: Final = os.environ.get("NUMBA_DISABLE_JIT") == "1"
ROWS_MOST: Final = 10 if PLAIN_PYTHON else 30
SETTINGS_MOST: Final = 4  # that have no default and are given in one call

# One is the beginning of another, and they look like the entries of a node's state.
SYMBOLS: Final = (b"A", b"", b"As", b"r\0\0\0\0\0\0\0\0", "\u00e9".encode())


class Case(NamedTuple):
    """A call over rows: `symbol` by number of `SYMBOLS` (-1: a row without a key), `session` -1 outside."""

    function: Function
    formula: str
    settings: dict[str, Any]
    operands: list[str]
    batch: pa.RecordBatch
    symbol: list[int]
    time_ns: list[int]
    session: list[int]

    @property
    def rows(self) -> int:
        return len(self.symbol)

    def of(self, places: Sequence[int]) -> "Case":
        """These rows of it alone."""
        chosen = [[values[place] for place in places] for values in (self.symbol, self.time_ns, self.session)]
        return self._replace(
            batch=self.batch.take(pa.array(places, pa.int64())),
            symbol=chosen[0],
            time_ns=chosen[1],
            session=chosen[2],
        )


def columns_of(function: Function, count: int) -> dict[str, Operand]:
    """A column of its own for each of so many operands."""
    return {f"c{number}": operand for number, operand in enumerate(function.operands_of(count)[:count])}


def call_text(function: Function, columns: Mapping[str, Operand], settings: Mapping[str, Any]) -> str:
    parts = [f"{operand.name}={name}" if operand.optional else name for name, operand in columns.items()]
    return (
        f"{function.name}({', '.join([*parts, *(f'{name}={value!r}' for name, value in settings.items())])})"
    )


@cache
def shapes_of(name: str) -> tuple[tuple[int, tuple[str, ...]], ...]:
    """How many operands a call can have, with which of the settings that have no default."""
    function = FUNCTIONS[name]
    open_settings = [setting for setting in function.settings if setting.default is None]
    least = sum(not operand.optional for operand in function.operands)
    most = len(function.operands) + (4 if function.repeats else 0)
    found = []
    for count in range(least, most + 1):
        columns = columns_of(function, count)
        schema = pa.schema([(name, typical_type(operand)) for name, operand in columns.items()])
        for size in range(SETTINGS_MOST + 1):
            for chosen in combinations(open_settings, size):
                settings = {setting.name: typical(setting) for setting in chosen}
                text = call_text(function, columns, settings)
                if read_features("law", root_source("aligned", schema), {"y": text})[0] is not None:
                    found.append((count, tuple(settings)))
    assert found, f"no call of {function.name} could be made"
    return tuple(found)


def typical(setting: Setting) -> Any:
    """A value that goes with most others."""
    lower, upper = setting.bounds
    if setting.kind == "window":
        return "4ns"
    if setting.kind == "boolean":
        return True
    if setting.kind == "word":
        return setting.words[0]
    if setting.kind == "table":
        return TABLES[2][setting.name]
    if setting.name == "beta":
        return 8.0  # more than what it lets fade
    if setting.kind == "number":
        return min(max(lower, 4.0), upper) if upper > 1 else 0.5
    return int(min(max(lower, 4), upper))


def typical_type(operand: Operand) -> pa.DataType:
    return {"boolean": pa.bool_(), "integer": pa.int64()}.get(operand.takes, pa.float64())


def value_of(setting: Setting, scale: int) -> st.SearchStrategy[Any]:
    """Any value of a setting, small ones more often; lengths of time are near a few times `scale`."""
    lower, upper = setting.bounds
    if setting.kind == "boolean":
        return st.booleans()
    if setting.kind == "word":
        return st.sampled_from(setting.words)
    if setting.kind == "window":
        near = st.integers(1, 6).map(lambda k: f"{k * scale}ns")
        return st.one_of(near, near, st.sampled_from(["1ns", f"{scale + 1}ns", "31d"]))
    if setting.kind == "duration":
        lowest, highest = math.ceil(max(lower, 0)), int(min(upper, 2**62))
        return st.integers(0, 6).map(lambda k: min(max(k * scale, lowest), highest))
    if setting.kind == "count":
        low, high = math.ceil(lower), int(upper)
        small = st.integers(low, min(high, low + 5))
        return st.one_of(small, small, small, st.integers(low, high))
    reals = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 20.0, 1e-3, 1e-300, 1e300, -2.5, 1 / 3]
    reals += [bound for bound in (lower, upper) if math.isfinite(bound)]
    return st.sampled_from([real for real in reals if lower <= real <= upper])


def has_tables(function: Function) -> bool:
    """Whether a setting of it is a table."""
    return any(setting.kind == "table" for setting in function.settings)


@st.composite
def settings_of(draw: st.DrawFn, function: Function, given: Sequence[str], scale: int) -> dict[str, Any]:
    """What is written in a call: these settings, and some of those that have a default."""
    written = {}
    tables = TABLES[draw(st.sampled_from([2, 3]))] if has_tables(function) else {}
    for setting in function.settings:
        if setting.name in given and setting.kind == "table":
            written[setting.name] = tables[setting.name]
        elif setting.name in given or (setting.default is not None and draw(st.booleans())):
            written[setting.name] = draw(value_of(setting, scale))
    return written


Draw: TypeAlias = Callable[[Random], Any]

ODD: Final = [math.nan, math.inf, -math.inf, 0.0, -0.0, 1.7e308, -1.7e308, 5e-324, 2.0**53, 2.0**63, 9.2e18]
EDGES: Final = [2**63 - 1, -(2**63), 2**53 + 1, 2**62, 2**32, 3037000500, 0, 1]


def any_float(of: Random) -> float:
    """One of the odd ones, or any bits."""
    number: float = struct.unpack("<d", of.randbytes(8))[0]
    return of.choice(ODD) if of.random() < 0.3 else number


def price(of: Random) -> float:
    return of.randint(9_990, 10_010) / 100


OF_FLOATS: Final[tuple[Draw, ...]] = (
    any_float,
    price,
    lambda of: of.gauss(0, 1e-3),
    lambda of: of.choice([0.0, -0.0, 1.0, 2.0, -1.0, 3.0]),
    lambda of: of.choice([1e300, -1e300, 1.0, 1e-300, 5e-324, math.nan]),
    lambda of: 100.1,
    lambda of: float(of.randint(-1, 1)),
)
OF_INTS: Final[tuple[Draw, ...]] = (
    lambda of: of.choice(EDGES) if of.random() < 0.5 else of.getrandbits(64) - 2**63,
    lambda of: of.randint(9_990, 10_010),
    lambda of: of.randint(-3, 3),
    lambda of: of.randint(0, 5),
    lambda of: 7,
    lambda of: of.randint(-1, 1),
)


def column(of: Random, operand: Operand, market: str, rows: int) -> pa.Array:
    """The values of an operand: of a market's, prices near each other and small sizes; else anything."""
    kind, value = pa.float64(), of.choice(OF_FLOATS)
    if operand.takes == "boolean" or (operand.takes == "value" and of.random() < 0.3):
        kind, value = pa.bool_(), _coin
    elif market and operand.takes != "integer":
        if "size" in operand.name:
            kind, value = pa.int64(), OF_INTS[3]
        elif operand.name in ("direction", "d"):
            kind, value = pa.int8(), OF_INTS[5]
        elif market == "ints":
            kind, value = pa.int64(), OF_INTS[1]
        else:
            value = price
    elif operand.takes == "integer" or of.random() < 0.4:
        kind, value = pa.int64(), of.choice(OF_INTS)
    nulls = of.choice([0.0, 0.0, 0.3])
    return pa.array([None if of.random() < nulls else value(of) for _ in range(rows)], kind)


def _coin(of: Random) -> bool:
    return of.random() < 0.5


@st.composite
def cases(draw: st.DrawFn, name: str) -> Case:
    """A call and rows in order: ties, several symbols, rows without a key, breaks, rows outside sessions."""
    function = FUNCTIONS[name]
    scale = draw(st.sampled_from([1, 10**9]))
    count, given = draw(st.sampled_from(shapes_of(name)))
    columns = columns_of(function, count)
    settings = draw(settings_of(function, given, scale))
    formula = call_text(function, columns, settings)
    rows = draw(st.integers(0, ROWS_MOST))
    seed = draw(st.integers(0, 2**32))  # of the values, which are quicker to draw so
    market = draw(st.sampled_from(["", "floats", "ints"]))
    arrays = {
        name: column(Random(f"{seed} {name}"), operand, market, rows) for name, operand in columns.items()
    }
    batch = pa.record_batch(arrays)
    source = root_source("aligned", batch.schema)
    assume(read_features("law", source, {"y": formula})[0] is not None)  # settings that do not go together
    symbols = draw(st.integers(1, 3))
    of = Random(f"{seed} symbol")
    symbol = [of.randint(0, 3 * symbols) for _ in range(rows)]
    time_ns, session = times(Random(f"{seed} time"), rows, scale)
    return Case(
        function,
        formula,
        {
            setting.name: setting.read(settings[setting.name])
            for setting in function.settings
            if setting.name in settings
        },
        list(columns),
        batch,
        [-1 if number == 3 * symbols else number % symbols for number in symbol],
        time_ns,
        session,
    )


def times(of: Random, rows: int, scale: int) -> tuple[list[int], list[int]]:
    """Ascending times, up to five of them equal, and sessions, which begin and end between two times."""
    now_ns = of.choice([0, 1_700_000_000 * 10**9, -7 * scale])
    session, latest = (0, 0) if of.random() < 0.7 else (-1, -1)
    time_ns: list[int] = []
    sessions: list[int] = []
    for _ in range(rows):
        step, event = of.choice([0, 0, 0, 1, 1, 2, 3, 5, 40]), of.randint(0, 9)
        if len(set(time_ns[-5:])) == 1 and len(time_ns) >= 5:
            step = max(step, 1)
        now_ns += step * scale
        if step and event >= 8:
            session, latest = (-1, latest) if event == 9 else (latest + 1, latest + 1)
        time_ns.append(now_ns)
        sessions.append(session)
    return time_ns, sessions


def features_of(case: Case) -> Features:
    source = root_source("aligned", case.batch.schema)
    features, errors = read_features("law", source, {"y": case.formula})
    assert features is not None, (case.formula, errors)
    return features


def expected(case: Case) -> Column:
    """What the oracle gives, floats where the node gives floats."""
    kinds = [kind_of(case.batch.schema.field(name).type) for name in case.operands]
    operands = case.function.operands_of(len(case.operands))[: len(case.operands)]
    left_out = len(case.function.operands_of(len(case.operands))) - len(operands)
    kinds += [None] * left_out
    floats = "float64" in case.function.alike(kinds)
    columns = [
        entering(case.batch[name], operand.takes == "float" or (operand.alike and floats))
        for name, operand in zip(case.operands, operands, strict=True)
    ]
    rows = Rows(
        case.time_ns,
        [None if number < 0 else number for number in case.symbol],
        [None if number < 0 else number for number in case.session],
        dict(zip(case.operands, columns, strict=True)),
    )
    values = ORACLES[case.function.name](rows, columns, case.settings)
    kind: Kind = case.function.result(kinds, case.settings)
    return [None if value is None else float(value) if kind == "float64" else value for value in values]


def entering(values: pa.Array, as_float: bool) -> Column:
    """The values as they enter: no number that is not finite, no zero with a sign."""
    column: Column = []
    for value in values.to_pylist():
        if isinstance(value, float):
            column.append(value + 0.0 if math.isfinite(value) else None)
        else:
            column.append(float(value) if as_float and value is not None else value)
    return column


class Run:
    """A node that takes the rows of a case, with symbols numbered in an order of its own."""

    def __init__(self, features: Features, order: Sequence[int] = range(len(SYMBOLS))) -> None:
        groups = Groups()
        numbers = np.argsort(np.array(order)).astype(np.int32)
        symbols = pa.array([SYMBOLS[number] for number in order], pa.binary())
        assert groups.codes(symbols, np.arange(len(order), dtype=np.int32)).tolist() == [*range(len(order))]
        self._numbers = np.append(numbers, np.int32(-1))  # where a symbol of -1 points
        self.node = FormulaNode("law", features, groups)
        self.store: dict[bytes, bytes] = {}

    def take(self, case: Case, lower: int, upper: int) -> list[Any]:
        """The values of some of the rows."""
        keys = RowKeys(
            self._numbers[np.array(case.symbol[lower:upper], np.int64)],
            np.array(case.time_ns[lower:upper], np.int64),
            np.array(case.session[lower:upper], np.int64),
        )
        rows = case.batch.slice(lower, upper - lower)
        out = self.node.take((Sealed(rows, 0, keys=keys),)).rows
        if out is None:
            return []
        out.validate(full=True)
        values = out["y"].to_pylist()
        assert sum(self.node.counts["y"]) == values.count(None)
        return list(values)

    def stream(self, case: Case, cuts: Sequence[int] = ()) -> list[Any]:
        """The values of all rows, taken in parts."""
        bounds = sorted({0, case.rows, *(cut for cut in cuts if cut < case.rows)})
        return [value for lower, upper in pairwise(bounds) for value in self.take(case, lower, upper)]

    def keep(self) -> None:
        """Write down what changed."""
        snapshot = self.node.snapshot()
        for key in snapshot.deletes:
            self.store.pop(key, None)
        self.store.update(snapshot.puts)


def bits(value: object) -> object:
    return struct.pack("<d", value) if isinstance(value, float) else value


def place_of(value: float) -> int:
    """The number of a float among all of them, in order."""
    (number,) = struct.unpack("<q", struct.pack("<d", value))
    return int(number) if number >= 0 else -(int(number) & (2**63 - 1))


def differences(values: Sequence[Any], wanted: Sequence[Any], ulps: int = 0) -> list[tuple[int, Any, Any]]:
    """Where values are not those that are wanted, bit for bit or within so many ulps."""
    assert len(values) == len(wanted)
    return [
        (row, value, want)
        for row, (value, want) in enumerate(zip(values, wanted, strict=True))
        if type(value) is not type(want) or not _same(value, want, ulps)
    ]


def _same(value: Any, want: Any, ulps: int) -> bool:
    if not isinstance(value, float) or ulps == 0:
        return bits(value) == bits(want)
    return abs(place_of(value) - place_of(want)) <= ulps


def context_of(case: Case, features: Features, first: int) -> Iterator[int]:
    """The rows that a slice needs whose first row with the right bits is `first`.

    Of each symbol: as many rows back as the node needs, from there as long, and as many rows again.
    """
    needs = Run(features).node.needs
    for number in set(case.symbol):
        rows = [row for row in range(first) if case.symbol[row] == number]
        if not rows:
            continue
        later = [row for row in range(first, case.rows) if case.symbol[row] == number]
        if not later:
            continue
        start = max(0, len(rows) - needs.rows)
        time_ns = case.time_ns[(rows[start:] or later)[0]]
        start = min([start, *(i for i, row in enumerate(rows) if case.time_ns[row] >= time_ns - needs.ns)])
        yield from rows[max(0, start - needs.rows) :]
