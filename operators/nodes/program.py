"""The steps of a node as the kernel runs them: opcodes, registers, and the columns read and written."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from operators.formula.history import PARTS, STATEFUL
from operators.formula.steps import Step, Texts
from operators.formula.types import Kind
from operators.nodes import opcodes as op
from operators.nodes import places as at
from operators.nodes.instructions import ACCEPTED, KEEPS, STORES, SWITCHES, held, opcode

Lines: TypeAlias = npt.NDArray[np.int64]


class Slot(NamedTuple):
    """A column of the input or a feature, and its row in the arrays of its kind.

    `texts` are those whose comparison stands for a column.
    """

    name: str
    kind: Kind
    row: int
    texts: Texts | None = None


class Layout(NamedTuple):
    """Which columns are read and which features written, in order."""

    columns: tuple[Slot, ...]
    features: tuple[Slot, ...]


def lay_out(steps: Sequence[Step], roots: Sequence[int], names: Sequence[str]) -> Layout:
    """Give each column and each feature its row."""
    read: list[Slot] = []
    for step in steps:
        if step.reads:
            row = sum(held(slot.kind) == held(step.kind) for slot in read)
            read.append(Slot(step.column, step.kind, row, step.texts))
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

    `once` is to be computed once, since no column is in it; the others for each tile.  `lines` are those of
    all segments, which are views of them.  `kept` are the steps whose values are kept for later rows, in the
    order of the pool's columns; behind these are the columns that steps write themselves row by row.
    """

    once: Lines
    loads: Lines
    lines: Lines
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
    hosts = _hosts(steps)
    for place, (host, part) in hosts.items():
        parts[host] = {**parts.get(host, {}), part: place, **parts.get(place, {})}
    done: set[int] = set()
    rows = {(slot.name, slot.texts): [slot.row, number] for number, slot in enumerate(layout.columns)}
    for place, step in enumerate(steps):
        stateful = STATEFUL.get(step.function)
        if step.reads:
            loads.append([opcode(steps, step), place, *rows[step.column, step.texts], 0])
        elif step.function in PARTS:
            continue  # its register is written by the step it is a part of
        elif stateful is not None:
            place, _ = hosts.get(place, (place, ""))
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
    for lines_of_own, first in ((own["rows"], len(kept)), (own["places"], 0)):
        for column, line in enumerate(lines_of_own, first):
            line[at.OWN] = column
    slots = enumerate(zip(layout.features, roots, strict=True))
    stores = [[STORES[slot.kind], slot.row, root, number, 0] for number, (slot, root) in slots]
    segments = _segments(steps, functions)
    lines = np.concatenate([_lines([]), *(segment.lines for segment in segments)])
    ends = np.cumsum([0, *(len(segment.lines) for segment in segments)]).tolist()
    parted = zip(segments, pairwise(ends), strict=True)
    return Program(
        _lines(once),
        np.array(loads, np.int64).reshape(-1, 5),
        lines,
        tuple(Segment(segment.family, lines[first:behind]) for segment, (first, behind) in parted),
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


def _hosts(steps: Sequence[Step]) -> dict[int, tuple[int, str]]:
    """By the place of a step that another one makes beside its own result: that one's place, and which part.

    A sum over a window is made beside the squares of the same values, and how many there are beside either.
    """
    squares: dict[tuple[int, ...], int] = {}
    sums: dict[tuple[int, ...], int] = {}
    for place, step in enumerate(steps):
        if step.function == "window_squares":
            *window, without, _ = step.operands
            if not steps[without].bits:
                squares.setdefault(tuple(window), place)
        elif step.function == "window_sum":
            sums.setdefault(step.operands, place)
    hosts: dict[int, tuple[int, str]] = {}
    for place, step in enumerate(steps):
        if step.function == "window_sum" and step.operands in squares:
            hosts[place] = squares[step.operands], "total"
        elif step.function == "window_count" and step.operands in sums | squares:
            hosts[place] = (sums | squares)[step.operands], "count"
    return hosts


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
