"""The market of a storm: 2,000 rows per step of 100 ms, one third trades, drawn from a seed.

Times are whole milliseconds, so that trades and quotes of a symbol often share one.  A symbol in `SLEEPY` has
no quotes for stretches longer than the tolerance, so that trades without a match occur.
"""

from typing import Final

import numpy as np

from tests.broker.chaos.storm.blocks import NUMBER_FIRST, ROWS, SYMBOLS, Rows

STEP_MS: Final = 100
NS_PER_MS: Final = 1_000_000
BLOCKS: Final = {"trade": 42, "quote": 83}  # per step: 2,000 rows
ROWS_PER_STEP: Final = ROWS * sum(BLOCKS.values())
SLEEPY: Final = 20  # the first so many symbols
SLEEP_STEPS: Final = 800
WITHOUT_ASK: Final = 0.1  # of the blocks of quotes


def blocks_of(thin: int) -> dict[str, int]:
    """The blocks of a step by stream, where one of `thin` is written."""
    return {name: max(1, blocks // thin) for name, blocks in BLOCKS.items()}


class Market:
    """Rows of step after step; `begin_ns` is the time of the first.  One of `thin` blocks is written."""

    def __init__(self, begin_ns: int, seed: int, thin: int = 1) -> None:
        self._rng = np.random.default_rng(seed)
        self._begin_ns = begin_ns
        self._number = NUMBER_FIRST
        self._blocks = blocks_of(thin)
        self.steps = 0

    @property
    def now_ns(self) -> int:
        """No row of a later step lies below it."""
        return self._begin_ns + self.steps * STEP_MS * NS_PER_MS

    def step(self) -> dict[str, Rows]:
        """The rows of the next step, by stream."""
        rows = {name: self._rows(name, blocks) for name, blocks in self._blocks.items()}
        self.steps += 1
        return rows

    def _rows(self, name: str, blocks: int) -> Rows:
        rng = self._rng
        shape = (blocks, ROWS)
        symbol = rng.integers(0, SYMBOLS, blocks)
        if name == "quote":
            asleep = (symbol < SLEEPY) & ((self.steps // SLEEP_STEPS + symbol) % 2 == 0)
            symbol = np.where(asleep, SLEEPY + symbol, symbol)
        event_ns = self.now_ns + np.sort(rng.integers(0, STEP_MS, shape), axis=1) * NS_PER_MS
        number = self._number + np.arange(blocks * ROWS).reshape(shape)
        self._number += blocks * ROWS
        price = np.round(100 + rng.random(shape), 4)
        asks = None if name == "trade" else rng.random(blocks) >= WITHOUT_ASK
        return Rows(symbol, event_ns, number, price, asks)
