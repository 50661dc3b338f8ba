"""What a run says as it is stopped: whether the same command goes on from there."""

from collections.abc import Callable
from typing import Self


class Interruption:
    """Says, where a run is stopped, whether the same command goes on from there."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self.log_lasts = False  # whether what is published by now outlives this process

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *raised: object) -> None:
        if kind is KeyboardInterrupt:
            how = "goes on from here" if self.log_lasts else "begins again: nothing is kept of this run"
            self._say(f"stopped: the same command {how}")
