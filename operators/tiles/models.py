"""Which model of a node is valid from which moment of event time on, and how rows are run through it."""

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple, TypeAlias

import pyarrow as pa

# Takes rows, context first, and gives the columns that are wanted, as far as they came back.
Run: TypeAlias = Callable[[pa.RecordBatch], Mapping[str, pa.Array]]

LOADED_MAX: Final = 4  # models in memory at once; the one that was loaded first goes


class ValidModel(NamedTuple):
    """A fitted model: from which moment on it is used, and the sha256 of its artefact in hex digits."""

    valid_from_ns: int
    sha256: str


class Models:
    """The models of one node, in order of time.

    Whoever reads their records puts them here.  A tile is run through the last model that is valid where the
    tile begins, so that a replay with the same records uses each model for the same rows.
    """

    def __init__(self, load: Callable[[str], Run]) -> None:
        """`load` gives what runs rows through the artefact of a sha256; it may raise TileError or OSError."""
        self.changes = 0  # how often other models were put here
        self._load = load
        self._models: tuple[ValidModel, ...] = ()
        self._times: list[int] = []
        self._loaded: dict[str, Run] = {}  # tasks may be at other times
        self._digests: dict[int, str] = {}  # by how many of the models

    @property
    def all(self) -> tuple[ValidModel, ...]:
        """Every model that is known, in order of time."""
        return self._models

    def put(self, models: Iterable[ValidModel]) -> None:
        """Take these models, and no others, from now on."""
        known = tuple(sorted(models))
        times = [one.valid_from_ns for one in known]
        assert len(set(times)) == len(times), "two models are valid from one moment"
        if known != self._models:
            self._models, self._times, self._digests = known, times, {}
            self.changes += 1

    def at(self, time_ns: int) -> ValidModel | None:
        """The model that is valid at a moment; None before the first."""
        place = bisect_right(self._times, time_ns)
        return self._models[place - 1] if place else None

    def run_at(self, time_ns: int) -> Run | None:
        """What runs rows through the model of a moment; None before the first.  Raises what `load` does."""
        valid = self.at(time_ns)
        if valid is None:
            return None
        run = self._loaded.get(valid.sha256)
        if run is None:
            while len(self._loaded) >= LOADED_MAX:
                del self._loaded[next(iter(self._loaded))]
            run = self._loaded[valid.sha256] = self._load(valid.sha256)
        return run

    def digest(self, time_ns: int) -> str:
        """64 hex digits of all models that are valid from a moment or an earlier one; empty for none."""
        count = bisect_right(self._times, time_ns)
        if count and count not in self._digests:
            text = "\n".join(f"{one.valid_from_ns} {one.sha256}" for one in self._models[:count])
            self._digests[count] = hashlib.sha256(text.encode()).hexdigest()
        return self._digests.get(count, "")
