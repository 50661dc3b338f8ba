"""The steps of a node as the kernel runs them: opcodes, registers, and the columns read and written."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.formula.history import ANCHORED, PARTS, STATEFUL
from operators.formula.steps import Step, bits_float
from operators.formula.types import Kind
from operators.nodes import opcodes as op
from operators.nodes import places as at
from operators.nodes.evaluate_kernel import TILE, Inputs, Outputs, Registers
from operators.nodes.row_kernel import EQUAL, GREATER, LESS, NULL_IN, Grid

Lines: TypeAlias = npt.NDArray[np.int64]

# By function and by how its operands are held.
FLOATS: Final = {
    "add": op.ADD_FLOAT,
    "subtract": op.SUBTRACT_FLOAT,
    "multiply": op.MULTIPLY_FLOAT,
    "divide": op.DIVIDE_FLOAT,
    "negate": op.NEGATE_FLOAT,
    "abs": op.ABS_FLOAT,
    "log": op.LOG_FLOAT,
    "exp": op.EXP_FLOAT,
    "sqrt": op.SQRT_FLOAT,
    "power": op.POWER_FLOAT,
    "min": op.MIN_FLOAT,
    "max": op.MAX_FLOAT,
    "min_known": op.MIN_FLOAT,
    "max_known": op.MAX_FLOAT,
    "clip": op.CLIP_FLOAT,
    "valid_bid": op.BID_FLOAT,
    "uncrossed_bid": op.BID_FLOAT,
    "direction": op.DIRECTION_FLOAT,
    "sign": op.SIGN_FLOAT,
    "where": op.WHERE_FLOAT,
    "column": op.LOAD_FLOAT,
    "enough": op.ENOUGH_FLOAT,
    "lag_rows": op.LAG_ROWS_FLOAT,
    "lag_time": op.LAG_TIME_FLOAT,
    "window_sum": op.WINDOW_SUM,
    "last_change": op.LAST_CHANGE_FLOAT,
    "session_sum": op.SESSION_SUM,
    "session_products": op.SESSION_PRODUCTS,
    "window_max": op.EXTREME_FLOAT,
    "window_min": op.EXTREME_FLOAT,
    "window_argmax": op.ROWS_BACK_FLOAT,
    "window_argmin": op.ROWS_BACK_FLOAT,
    "window_quantile": op.QUANTILE,
    "window_rank": op.RANK_FLOAT,
    "cumsum_floats": op.CUMSUM_FLOAT,
    "fill_forward": op.FILL_FLOAT,
    "window_squares": op.WINDOW_SQUARES,
    "window_products": op.WINDOW_PRODUCTS,
    "window_pairs": op.WINDOW_PAIRS,
    "window_shape": op.WINDOW_SHAPE,
}
INTS: Final = {
    "add": op.ADD_INT,
    "subtract": op.SUBTRACT_INT,
    "multiply": op.MULTIPLY_INT,
    "negate": op.NEGATE_INT,
    "abs": op.ABS_INT,
    "min": op.MIN_INT,
    "max": op.MAX_INT,
    "min_known": op.MIN_INT,
    "max_known": op.MAX_INT,
    "clip": op.CLIP_INT,
    "valid_bid": op.BID_INT,
    "uncrossed_bid": op.BID_INT,
    "direction": op.DIRECTION_INT,
    "zero_without": op.ZERO_WITHOUT,
    "sign": op.SIGN_INT,
    "where": op.WHERE_INT,
    "to_float": op.TO_FLOAT,
    "column": op.LOAD_INT,
    "enough": op.ENOUGH_INT,
    "lag_rows": op.LAG_ROWS_INT,
    "lag_time": op.LAG_TIME_INT,
    "last_change": op.LAST_CHANGE_INT,
    "window_max": op.EXTREME_INT,
    "window_min": op.EXTREME_INT,
    "window_argmax": op.ROWS_BACK_INT,
    "window_argmin": op.ROWS_BACK_INT,
    "window_rank": op.RANK_INT,
    "cumsum_ints": op.CUMSUM_INT,
    "fill_forward": op.FILL_INT,
    "window_total": op.WINDOW_TOTAL,
}
BOOLS: Final = {
    "and": op.AND,
    "or": op.OR,
    "not": op.NOT,
    "where": op.WHERE_BOOL,
    "column": op.LOAD_BOOL,
    "lag_rows": op.LAG_ROWS_BOOL,
    "lag_time": op.LAG_TIME_BOOL,
    "time_since": op.TIME_SINCE,
    "count_since": op.COUNT_SINCE,
    "fill_forward": op.FILL_BOOL,
}
# Whatever its values are.
OF_ANY: Final = {
    "window_count": op.WINDOW_COUNT,
    "session_count": op.SESSION_COUNT,
    "row_time": op.ROW_TIME,
}
# Whether anchored or not.
OF_RECURSIONS: Final = {
    "ewma": op.EWMA,
    "average": op.AVERAGE,
    "ewma_time": op.EWMA_TIME,
    "decay_accum": op.DECAY_ACCUM,
    "ewm_std": op.EWM_STD,
    "regression": op.REGRESSION,
    "buckets": op.BUCKETS,
    "two_scales": op.TWO_SCALES,
    "twap": op.TWAP,
}
KEEPS: Final[Mapping[str, int]] = {"float64": op.KEEP_FLOAT, "int64": op.KEEP_INT, "bool": op.KEEP_BOOL}
COMPARISONS: Final = {
    ("float64", "float64"): op.COMPARE_FLOAT,
    ("int64", "int64"): op.COMPARE_INT,
    ("int64", "float64"): op.COMPARE_MIXED,
    ("bool", "bool"): op.COMPARE_BOOL,
}
ACCEPTED: Final = {
    "less": LESS,
    "less_equal": LESS | EQUAL,
    "greater": GREATER,
    "greater_equal": GREATER | EQUAL,
    "equal": EQUAL,
    "unequal": LESS | GREATER,
}
# What a loop is told beside its registers: whether it leaves nulls out, whether it refuses crossed quotes,
# and -1 where it looks for the smallest value as another does for the largest one.
SWITCHES: Final = {
    "min": 0,
    "min_known": 1,
    "max": 0,
    "max_known": 1,
    "valid_bid": 0,
    "uncrossed_bid": 1,
    "window_max": 0,
    "window_min": -1,
    "window_argmax": 0,
    "window_argmin": -1,
}
STORES: Final[dict[Kind, int]] = {
    "float64": op.STORE_FLOAT,
    "int64": op.STORE_INT,
    "int8": op.STORE_BYTE,
    "bool": op.STORE_BOOL,
}

# Bytes; numpy takes more than 128 KiB from the system each time, and gives it back.
POOL_SIZE_MIN: Final = 100_000


class Slot(NamedTuple):
    """A column of the input or a feature, and its row in the arrays of its kind."""

    name: str
    kind: Kind
    row: int


class Layout(NamedTuple):
    """Which columns are read and which features written, in order."""

    columns: tuple[Slot, ...]
    features: tuple[Slot, ...]


def held(kind: Kind) -> Kind:
    """How values of a kind are held in a register: a narrow integer as a wide one."""
    return "int64" if kind == "int8" else kind


def lay_out(steps: Sequence[Step], roots: Sequence[int], names: Sequence[str]) -> Layout:
    """Give each column and each feature its row."""
    read: list[Slot] = []
    for step in steps:
        if step.function == "column":
            row = sum(held(slot.kind) == held(step.kind) for slot in read)
            read.append(Slot(step.column, step.kind, row))
    written: list[Slot] = []
    for name, root in zip(names, roots, strict=True):
        kind = steps[root].kind
        written.append(Slot(name, kind, sum(slot.kind == kind for slot in written)))
    return Layout(tuple(read), tuple(written))


class Segment(NamedTuple):
    """Lines that one kernel runs: those of the row (`family` -1), or of a family of steps with state."""

    family: int
    lines: Lines


class Program(NamedTuple):
    """What the kernels run, a step a line.  A step's register is its place among the steps.

    `once` is to be computed once, since no column is in it; the others for each tile.  `kept` are the steps
    whose values are kept for later rows, in the order of the pool's columns; behind these are the columns
    that steps write themselves, first those by row.
    """

    once: Lines
    loads: Lines
    segments: tuple[Segment, ...]
    stores: Lines
    kept: tuple[int, ...]


def make_program(steps: Sequence[Step], roots: Sequence[int], layout: Layout) -> Program:
    """Return the program of the steps."""
    once: list[list[int]] = []
    loads: list[list[int]] = []
    functions: list[list[int]] = []
    fixed: set[int] = set()
    kept: list[int] = []
    own: dict[str, list[list[int]]] = {"rows": [], "places": []}
    parts = _parts(steps)
    squared = _squared(steps)
    for total, squares in squared.items():
        parts[squares] = {**parts.get(squares, {}), "total": total, **parts.get(total, {})}
    done: set[int] = set()
    rows = {slot.name: [slot.row, number] for number, slot in enumerate(layout.columns)}
    for place, step in enumerate(steps):
        stateful = STATEFUL.get(step.function)
        if step.function == "column":
            loads.append([opcode(steps, step), place, *rows[step.column], 0])
        elif step.function in PARTS:
            continue  # its register is written by the step it is a part of
        elif stateful is not None:
            place = squared.get(place, place)
            if place in done:
                continue
            done.add(place)
            looked_at = step.operands[: stateful.values] if stateful.kept else ()
            for value in looked_at:
                if value not in kept:
                    functions.append(_keeping(steps, value, len(kept)))
                    kept.append(value)
            columns = [kept.index(value) for value in looked_at]
            functions.append(_line(steps, place, columns, parts.get(place, {})))
            if stateful.own:
                own[stateful.own].append(functions[-1])
        elif fixed.issuperset(step.operands):
            fixed.add(place)
            if step.function not in ("constant", "absent"):
                once.append(_line(steps, place))
        else:
            functions.append(_line(steps, place))
    for column, line in enumerate([*own["rows"], *own["places"]], len(kept)):
        line[at.OWN] = column
    slots = enumerate(zip(layout.features, roots, strict=True))
    stores = [[STORES[slot.kind], slot.row, root, number, 0] for number, (slot, root) in slots]
    return Program(
        _lines(once),
        np.array(loads, np.int64).reshape(-1, 5),
        _segments(steps, functions),
        np.array(stores, np.int64).reshape(-1, 5),
        tuple(kept),
    )


def _segments(steps: Sequence[Step], lines: Sequence[list[int]]) -> tuple[Segment, ...]:
    """The lines in an order in which each finds its values, in few segments: a call costs microseconds.

    Those of the row that can be run come first, then all that can be of one family, and so on.
    """
    waiting = [(line, *_values(steps, line)) for line in lines]
    wanted = {value for _, _, gives in waiting for value in gives}
    segments: list[Segment] = []
    while waiting:
        families = dict.fromkeys([-1, *(op.family(line[at.OPCODE]) for line, _, _ in waiting)])
        for family in families:
            taken: list[list[int]] = []
            rest = []
            for line, needs, gives in waiting:
                if op.family(line[at.OPCODE]) == family and wanted.isdisjoint(needs):
                    taken.append(line)
                    wanted -= gives
                else:
                    rest.append((line, needs, gives))
            if taken:
                segments.append(Segment(family, _lines(taken)))
                waiting = rest
                break
        else:
            raise AssertionError("lines that wait for one another")
    return tuple(segments)


def _values(steps: Sequence[Step], line: list[int]) -> tuple[set[int], set[int]]:
    """Which values a line needs, and which it gives: registers, and below 0 the columns of kept values."""
    if line[at.OUT] < 0:
        return {line[at.OPERANDS]}, {-1 - line[at.KEPT]}
    step = steps[line[at.OUT]]
    what = STATEFUL.get(step.function)
    needs = set(step.operands)
    if what is not None and what.kept:
        needs |= {-1 - line[at.KEPT + number] for number in range(what.values)}
    return needs, {line[at.OUT], *(part for part in line[at.PARTS_AT :] if part >= 0)}


def _lines(lines: Sequence[list[int]]) -> Lines:
    return np.array(lines, np.int64).reshape(-1, at.LINE)


def _parts(steps: Sequence[Step]) -> dict[int, dict[str, int]]:
    """By step: the registers of its parts."""
    parts: dict[int, dict[str, int]] = {}
    for place, step in enumerate(steps):
        if step.function in PARTS:
            parts.setdefault(step.operands[0], {})[step.function] = place
    return parts


def _squared(steps: Sequence[Step]) -> dict[int, int]:
    """By the place of a sum over a window: that of the step which has it beside the squares."""
    squares: dict[tuple[int, ...], int] = {}
    for place, step in enumerate(steps):
        if step.function == "window_squares":
            *window, without, _ = step.operands
            if not steps[without].bits:
                squares.setdefault(tuple(window), place)
    return {
        place: squares[step.operands]
        for place, step in enumerate(steps)
        if step.function == "window_sum" and step.operands in squares
    }


def _keeping(steps: Sequence[Step], value: int, column: int) -> list[int]:
    """The line that keeps the values of a step in a column of the pool."""
    line = [0] * at.LINE
    line[at.OUT] = -1
    line[at.OPCODE], line[at.OPERANDS], line[at.KEPT] = KEEPS[held(steps[value].kind)], value, column
    return line


def _line(
    steps: Sequence[Step], place: int, kept: Sequence[int] = (), parts: Mapping[str, int] = {}
) -> list[int]:
    """The line of a step; where its state lies is written into it when there is one."""
    step = steps[place]
    switch = ACCEPTED.get(step.function, SWITCHES.get(step.function))
    operands = [*step.operands, *(() if switch is None else (switch,))]
    assert len(operands) <= at.OPERANDS_MAX, step
    line = [opcode(steps, step), place, *operands]
    line += [0] * (at.LINE - len(line))
    line[at.KEPT : at.KEPT + len(kept)] = kept
    line[at.PARTS_AT :] = [-1] * (at.LINE - at.PARTS_AT)
    for part, register in parts.items():
        line[at.PARTS_AT + PARTS[part]] = register
    return line


def opcode(steps: Sequence[Step], step: Step) -> int:
    """The opcode of a step that is no constant."""
    kinds = [held(steps[place].kind) for place in step.operands]
    if step.function in ACCEPTED:
        return COMPARISONS[kinds[0], kinds[1]]
    if step.function in OF_ANY:
        return OF_ANY[step.function]
    recursion = step.function.removesuffix(ANCHORED)
    if recursion in OF_RECURSIONS:
        return OF_RECURSIONS[recursion]
    kind = held(step.kind) if step.function in ("column", "where") else kinds[0]
    return {"float64": FLOATS, "int64": INTS, "bool": BOOLS}[kind][step.function]


def new_registers(steps: Sequence[Step]) -> Registers:
    """A register for each step; those of constants are filled."""
    size = (len(steps), TILE)
    registers = Registers(
        np.zeros(size), np.zeros(size, np.int64), np.zeros(size, np.uint8), np.zeros(size, np.uint8)
    )
    for place, step in enumerate(steps):
        if step.function == "constant":
            if step.kind == "float64":
                registers.floats[place] = bits_float(step.bits)
            elif step.kind == "bool":
                registers.bools[place] = step.bits
            else:
                registers.ints[place] = step.bits
        elif step.function == "absent":
            registers.status[place] = NULL_IN
    return registers


def new_inputs(layout: Layout) -> Inputs:
    """Room for a tile of the columns that are read."""
    kinds = [held(slot.kind) for slot in layout.columns]
    bitmap = TILE // 8 + 1  # it may begin inside a byte
    return Inputs(
        np.zeros((kinds.count("float64"), TILE)),
        np.zeros((kinds.count("int64"), TILE), np.int64),
        np.zeros((kinds.count("bool"), bitmap), np.uint8),
        np.zeros((len(kinds), bitmap), np.uint8),
        np.zeros(kinds.count("bool"), np.int64),
        np.full(len(kinds), -1, np.int64),
    )


def new_outputs(layout: Layout, rows: int) -> Outputs:
    """Room for the features of a batch."""
    kinds = [slot.kind for slot in layout.features]
    bitmap = (rows + 7) // 8
    return Outputs(
        _room(kinds.count("float64"), rows, np.float64),
        _room(kinds.count("int64"), rows, np.int64),
        _room(kinds.count("int8"), rows, np.int8),
        _room(kinds.count("bool"), bitmap, np.uint8),
        _room(len(kinds), bitmap, np.uint8),
        np.zeros((len(kinds), 3), np.int64),
    )


def _room(columns: int, size: int, dtype: npt.DTypeLike) -> Grid:
    """Much comes from Arrow's pool, whose pages are ready: fresh ones cost as much as to compute."""
    room = np.dtype(dtype).itemsize * columns * size
    if room < POOL_SIZE_MIN:
        return np.empty((columns, size), dtype)
    return np.frombuffer(pa.allocate_buffer(room), dtype).reshape(columns, size)
