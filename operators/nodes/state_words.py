"""Where the words of steps lie among those of a symbol, and which a tile asks for before it reads them."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from operators.formula.history import EXACT_WORDS, Stateful
from operators.nodes import moment_kernel, session_kernel
from operators.nodes import opcodes as op
from operators.nodes import places as at
from operators.nodes.ahead_kernel import BEGINS, LINE_WORDS, PLAIN, SUM
from operators.nodes.near_kernel import STATES
from operators.nodes.program import Lines
from operators.nodes.row_kernel import Grid

# By opcode: where its exact sums lie among its words.
SUMS: Final = {
    op.WINDOW_PRODUCTS: (moment_kernel.SUM, moment_kernel.PRODUCTS),
    op.SESSION_SUM: (session_kernel.SUM,),
    op.SESSION_PRODUCTS: (session_kernel.SUM, session_kernel.WEIGHTS),
}


def lay_words(stateful: Sequence[tuple[Lines, Stateful]]) -> int:
    """Write into the lines of steps where their words lie among a symbol's; returns how many it has.

    They lie one step behind the other, since a row needs those of all; last is what a state seldom needs.
    """
    behind = STATES
    for line, what in sorted(stateful, key=lambda one: one[1].words):
        line[at.BASE], line[at.SIZE] = behind, what.words
        behind += what.words
    for line, what in stateful:
        line[at.FAR] = behind
        behind += what.far
    stride = -(-(behind - STATES) // LINE_WORDS) * LINE_WORDS
    for line, _ in stateful:
        line[at.STRIDE] = stride
    return stride


def hints(stateful: Sequence[tuple[Lines, Stateful]]) -> Grid:
    """Which lines of memory the states of a symbol have, and what leads on from there (`ahead_kernel`).

    Those of windows come first.
    """
    kinds: dict[int, int] = {}  # by place among the words
    windows: set[tuple[int, ...]] = set()
    for line, what in stateful:
        base, size = int(line[at.BASE]), what.words
        if size:
            kinds.setdefault(base, PLAIN)
            kinds.setdefault(base + size - 1 if size < EXACT_WORDS else base, PLAIN)
        opcode = int(line[at.OPCODE])
        if opcode in SUMS:
            kinds.update((base + at_word, SUM) for at_word in SUMS[opcode])
        if what.history == "window" and what.kept and size:
            window = tuple(line[at.OPERANDS + what.values :][:4].tolist())
            if window not in windows:
                windows.add(window)
                kinds[base] = BEGINS
    near: dict[int, int] = {}
    for place, kind in sorted(kinds.items()):
        if kind != PLAIN or place // LINE_WORDS not in {other // LINE_WORDS for other in near}:
            near[place] = kind
    in_order = sorted(near.items(), key=lambda hint: (hint[1] != BEGINS, hint[0]))
    return np.array(in_order, np.int64).reshape(-1, 2)
