"""Models of the user: loaded from the files that settings name, and run with the artefacts recorded."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from app.errors import RunError
from app.process.watchdog import HARD_NS, Watchdog, end_process
from app.settings.functions import FUNCTION
from app.settings.graph import Loaded, NodeTable
from app.wiring.apart import Apart, Timed, without_pickle
from app.wiring.function_modules import load_module
from app.wiring.function_source import SourceError, reached_by
from app.wiring.model_kinds import ModelKind, kind_of, require_no_pickle
from app.wiring.model_store import ModelRecord, ModelStore
from operators.graph.plan import Plan
from operators.tiles.calls import TileError, failure_words
from operators.tiles.models import Models, ValidModel
from operators.tiles.settings import Mistake, UserFunction
from schemas.clocks import NS_PER_MS
from schemas.durations import duration_text

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
PREDICTED: Final = (np.dtype(np.float64), np.dtype(np.int64), np.dtype(np.bool_))


class NodeModels(NamedTuple):
    """The models of one node, and what it means: only records of that meaning are its own."""

    meaning: str
    models: Models


def load_model(folder: Path, node: str, table: NodeTable, store: ModelStore) -> Loaded:
    """The model that a table names, or why it cannot be used; its file lies in the folder."""
    assert table.function is not None
    match = FUNCTION.fullmatch(table.function)
    assert match, f"{table.function} names no model"
    path, apart = (folder / match["file"]).resolve(), Apart()
    try:
        reached = reached_by(path, match["name"], model=True)
        place = f"{path.name}:{reached.line}"
        require_no_pickle(reached, place)
        kind = apart.call(kind_of, getattr(load_module(path, reached, apart), match["name"]), place)
    except SourceError as wrong:
        return None, (Mistake("function", str(wrong)),)
    limit_ns = table.time_limit_ms * NS_PER_MS
    late = f"{place}: node {node}: predict or load took longer than time_limit = {duration_text(limit_ns)}"
    timed = Timed(apart, Watchdog(limit_ns, lambda: end_process(late), hard_ns=HARD_NS))
    fitted = Fitted(kind, place, tuple(table.returns), timed, store)
    engine = _engine_words(reached.packages)
    return UserFunction(_of_no_moment, reached.meaning, engine, place, FittedModels(fitted)), ()


def _engine_words(packages: Mapping[str, str]) -> str:
    """The package that a model is of, with its version."""
    others = {name: number for name, number in packages.items() if not number.startswith("python ")}
    first = next((name for name in others if name != "numpy"), "numpy")
    return f"{first} {others[first]}" if first in others else "plain Python"


def _of_no_moment(_: pa.RecordBatch) -> Mapping[str, pa.Array]:
    raise AssertionError("a model is run as of a moment")


class Fitted:
    """What a node's models are made of, kept by, and run with.

    `kind`   how they are made, saved and loaded.
    `place`  where the class or the function that makes them stands.
    `apart`  calls whatever of them has no time limit.
    """

    def __init__(
        self, kind: ModelKind, place: str, names: tuple[str, ...], timed: Timed, store: ModelStore
    ) -> None:
        self.kind, self.place, self.store, self.apart = kind, place, store, timed.apart
        self._names, self._timed = names, timed

    def load(self, sha256: str) -> "Prediction":
        """What runs rows through an artefact; raises TileError where it is none, OSError without a file."""
        raw = self.store.get(sha256)
        try:
            model = self._timed(without_pickle, self.kind.of_bytes, raw)
        except Exception as wrong:  # whatever the model of somebody else raises
            raise TileError(
                f"{self.place}: the artefact {self.store.path(sha256)} cannot be loaded: "
                f"{failure_words(wrong)}"
            ) from None
        return self.of(model)

    def of(self, model: Any) -> "Prediction":
        """What runs rows through a model at hand."""
        return Prediction(model, self._names, self._timed)


class FittedModels(Models):
    """The models of one node, with what loads them."""

    def __init__(self, fitted: Fitted) -> None:
        super().__init__(fitted.load)
        self.fitted = fitted


class Prediction:
    """Runs rows through a model: the columns that it gives, null for rows that lack a number (`Run`)."""

    def __init__(self, model: Any, names: tuple[str, ...], timed: Timed) -> None:
        self.model, self._names, self._timed = model, names, timed

    def __call__(self, rows: pa.RecordBatch) -> Mapping[str, pa.Array]:
        """As of `Run`; raises ValueError where the model gives something else than a value for each row."""
        x = matrix_of(rows.columns)
        whole: Bools = np.asarray(np.isfinite(x).all(axis=1))
        given = x[whole]
        if given.shape[0]:
            made: object = self._timed(self.model.predict, given)
        else:
            made = np.empty((0, len(self._names)) if len(self._names) > 1 else 0)
        return dict(zip(self._names, self._columns(made, whole), strict=True))

    def _columns(self, made: object, whole: Bools) -> list[pa.Array]:
        count, width = int(whole.sum()), len(self._names)
        wanted = (count,) if width == 1 else (count, width)
        if count == 0:
            return [pa.nulls(whole.size)] * width
        if not isinstance(made, np.ndarray) or made.dtype not in PREDICTED:
            kind = f"an array of {made.dtype}" if isinstance(made, np.ndarray) else type(made).__name__
            raise ValueError(f"predict gave {kind}, not an array of float64, int64 or bool")
        if made.shape != wanted:
            raise ValueError(
                f"predict gave an array of shape {made.shape} for {count:,} rows and {width} columns of "
                f"returns: {wanted} is wanted"
            )
        parts = [made] if width == 1 else [made[:, number] for number in range(width)]
        place = np.cumsum(whole) - 1
        return [pa.array(part).take(pa.array(place, mask=~whole)) for part in parts]


def matrix_of(columns: Iterable[pa.Array]) -> Floats:
    """Columns as float64 [rows, columns], in rows that lie together; a null is NaN."""
    floats = [column.cast(pa.float64()).to_numpy(zero_copy_only=False) for column in columns]
    return np.ascontiguousarray(np.stack(floats, axis=1), np.float64)


def models_of(plan: Plan | None) -> dict[str, NodeModels]:
    """By node its models, of a plan."""
    found = {}
    for node in () if plan is None else plan.nodes:
        models = None if node.tiles is None else node.tiles.function.models
        if models is not None:
            found[node.name] = NodeModels(node.meaning, models)
    return found


def put_records(nodes: Mapping[str, NodeModels], records: Iterable[ModelRecord]) -> None:
    """Let each node have the models that these records say, and no others; those of other meanings are none.

    Raises RunError where two records name one moment.
    """
    by_node: dict[str, dict[int, str]] = {name: {} for name in nodes}
    for record in records:
        if record.model not in nodes or record.meaning != nodes[record.model].meaning:
            continue
        own = by_node[record.model]
        if own.setdefault(record.valid_from_ns, record.sha256) != record.sha256:
            raise RunError(f"{record.model} has two models that are valid from {record.valid_from_ns}")
    for name, own in by_node.items():
        nodes[name].models.put(ValidModel(*one) for one in own.items())
