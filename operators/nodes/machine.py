"""What the kernels of a node run on: its registers, a batch of its input, and room for its features."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.formula.steps import Step, bits_float
from operators.nodes import places as at
from operators.nodes.evaluate_kernel import BATCH, Inputs, Memory, Outputs, Registers
from operators.nodes.history import History
from operators.nodes.instructions import held
from operators.nodes.program import Layout, Program, Segment
from operators.nodes.row_kernel import NULL_IN, Grid
from operators.nodes.run_kernel import address_of, run_program
from operators.nodes.stateful_kernel import FAMILIES

# Bytes; numpy takes more than 128 KiB from the system each time, and gives it back.
POOL_SIZE_MIN: Final = 100_000

# Of a program without steps that look back.
NOTHING: Final = np.zeros((at.COMING_ROWS, 0), np.int64)
ALL: Final = np.zeros(3, np.int64)
NO_HINTS: Final = np.zeros((0, 2), np.int64)


class Machine:
    """Runs a program; what its steps compute stays in registers from one to the next.

    `inputs`  room for a batch of the columns that are read, for the node to fill.
    """

    def __init__(self, steps: Sequence[Step], layout: Layout, program: Program, memory: Memory) -> None:
        """The registers of the steps; what is to be computed once is there, and kernels are compiled."""
        self.inputs = new_inputs(layout)
        self._registers = new_registers(steps)
        self._float_words = self._registers.floats.view(np.int64)
        self._program = program
        self.run_family(memory, Segment(-1, program.once), at.TILE)
        for segment in program.segments:  # no row has to wait for a kernel to be compiled
            self.run_family(memory, segment, 0)
        ends = np.cumsum([len(segment.lines) for segment in program.segments])
        self._segments = np.array(
            [
                (address_of(segment.family), behind - len(segment.lines), behind)
                for segment, behind in zip(program.segments, ends, strict=True)
            ],
            np.int64,
        ).reshape(-1, 3)
        self.run(new_outputs(layout, 0), memory, None, 0, 0)

    def run(self, outputs: Outputs, memory: Memory, history: History | None, lower: int, rows: int) -> None:
        """Run the program over `rows` rows of the inputs; features go to the outputs from row `lower` on.

        Without a `history` it has no steps with state; with one the rows have been given their places.
        """
        program, (floats, ints, bools, status) = self._program, self._registers
        run_program(
            program.loads,
            program.lines,
            self._segments,
            program.stores,
            floats,
            self._float_words,
            ints,
            bools,
            status,
            *self.inputs,
            *outputs,
            NOTHING if history is None else history.coming.rows,
            ALL if history is None else history.retention,
            *memory,
            NO_HINTS if history is None else history.hints,
            0 if history is None else history.stride,
            0 if history is None else 1,
            0 if history is None or not history.keeps else 1,
            0 if history is None or not history.coming.is_ordered else 1,
            lower,
            rows,
        )

    def run_family(self, memory: Memory, segment: Segment, rows: int) -> None:
        """Run the steps of a segment over a tile."""
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
            memory.lists,
            memory.words,
            memory.word_floats,
            rows,
        )


def new_registers(steps: Sequence[Step]) -> Registers:
    """A register for each step; those of constants are filled."""
    size = (len(steps), at.TILE)
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
    """Room for a batch of the columns that are read."""
    kinds = [held(slot.kind) for slot in layout.columns]
    bitmap = BATCH // 8 + 1  # it may begin inside a byte
    return Inputs(
        np.zeros((kinds.count("float64"), BATCH)),
        np.zeros((kinds.count("int64"), BATCH), np.int64),
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
        np.zeros((len(kinds), rows), np.uint8),
    )


def _room(columns: int, size: int, dtype: npt.DTypeLike) -> Grid:
    """Much comes from Arrow's pool, whose pages are ready: fresh ones cost as much as to compute."""
    room = np.dtype(dtype).itemsize * columns * size
    if room < POOL_SIZE_MIN:
        return np.empty((columns, size), dtype)
    return np.frombuffer(pa.allocate_buffer(room), dtype).reshape(columns, size)
