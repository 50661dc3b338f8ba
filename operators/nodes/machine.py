"""What the kernels of a node run on: its registers, a tile of its input, and room for its features."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.formula.steps import Step, bits_float
from operators.nodes.evaluate_kernel import TILE, Inputs, Memory, Outputs, Registers, evaluate
from operators.nodes.instructions import held
from operators.nodes.program import Layout, Lines, Program, Segment
from operators.nodes.row_kernel import NULL_IN, Grid
from operators.nodes.stateful_kernel import FAMILIES

# Bytes; numpy takes more than 128 KiB from the system each time, and gives it back.
POOL_SIZE_MIN: Final = 100_000


class Machine:
    """Runs lines of a program; what they compute stays in its registers from one call to the next.

    `inputs`  room for a tile of the columns that are read, for the node to fill.
    """

    def __init__(self, steps: Sequence[Step], layout: Layout, program: Program) -> None:
        """The registers of the steps; what is to be computed once is there."""
        self.inputs = new_inputs(layout)
        self._registers = new_registers(steps)
        self._float_words = self._registers.floats.view(np.int64)
        self._program = program
        self.run_rows(new_outputs(layout, 0), 0, TILE, functions=program.once)

    def statuses(self, place: int, rows: int) -> Grid:
        """The statuses of a step in the tile that was run last (`row_kernel`)."""
        return self._registers.status[place, :rows]

    def run_rows(
        self,
        outputs: Outputs,
        lower: int,
        rows: int,
        loads: Lines | None = None,
        functions: Lines | None = None,
        stores: Lines | None = None,
    ) -> None:
        """Load columns, compute what hangs on the row, write features: what is asked for."""
        program = self._program
        evaluate(
            program.loads[:0] if loads is None else loads,
            program.once[:0] if functions is None else functions,
            program.stores[:0] if stores is None else stores,
            *self._registers,
            *self.inputs,
            *outputs,
            lower,
            rows,
        )

    def run_family(self, memory: Memory, segment: Segment, rows: int) -> None:
        """Run steps with state."""
        floats, ints, bools, status = self._registers
        FAMILIES[segment.family](
            segment.lines,
            floats,
            self._float_words,
            ints,
            bools,
            status,
            memory.places,
            memory.kept,
            memory.kept_status,
            memory.kept_time,
            memory.words,
            memory.word_floats,
            rows,
        )


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
