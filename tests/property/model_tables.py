"""Tables that models take as settings, those of one model fitting one another."""

from collections.abc import Mapping
from typing import Any, Final

# By how many states, or sides, there are.
TABLES: Final[Mapping[int, Mapping[str, Any]]] = {
    2: {
        "mu": (0.25, 1.5),
        "a": ((0.6, 0.2), (0.1, 0.4)),
        "pi": (0.25, 0.75),
        "A": ((0.9, 0.1), (0.3, 0.7)),
        "mean": (0.0, 99.9),
        "sd": (2.0, 0.5),
        "w": (1.0, 0.3),
    },
    3: {
        "mu": (0.0, 1 / 3),
        "a": ((0.0, 0.3), (1.7, 0.1)),
        "pi": (1.0, 0.0, 0.0),
        "A": ((0.5, 0.5, 0.0), (0.1, 0.8, 0.1), (0.0, 1 / 3, 2 / 3)),
        "mean": (-1.0, 0.0, 100.0),
        "sd": (1e-3, 1.0, 30.0),
        "w": (0.0, 1e300),  # of two levels of a book: no call of the law has three
    },
}
