"""How the tasks of a worker stand, as a scrape asks for it."""

from typing import NamedTuple


class Standing(NamedTuple):
    """Tasks owned, those of them still read again, tasks with some inputs only; bytes of state on disk."""

    owned: int
    rereading: int
    incomplete: int
    state_bytes: int
