"""The rows that a model is fitted with: those of its label, as a backtest of each day makes them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

import pyarrow as pa

from app.batch.run import run_batch
from app.config import Settings
from app.day.dates import BETWEEN, days_between, require_date
from app.day.history import open_history
from app.day.reading import Reading
from app.day.request import ReplayRequest, run_settings
from app.errors import UsageError
from app.fit.samples import Samples, joined, samples_of
from app.reading.row_files import read_rows
from app.wiring.models import FittedModels, NodeModels
from app.wiring.open import pipeline_on
from app.wiring.pipeline import Pipeline
from app.wiring.planning import declared_graph
from operators.tiles.settings import ModelSettings
from replay.store.day import Day
from replay.store.objects import Folder
from schemas.clocks import clock_column
from topics.avro.schema import avro_schema
from topics.memory.bus import MemoryBus
from topics.registry.open import open_registry

PREFIX: Final = "graph-fit"


class FitSource(NamedTuple):
    """What a model is fitted with, and who it is.

    `model`    what it reads and learns, and `node` its name.
    `own`      its models, and what it means; `graph` is the meaning of its graph.
    `samples`  those of all days.
    """

    node: str
    model: ModelSettings
    own: NodeModels
    graph: str
    samples: Samples

    @property
    def fitted(self) -> FittedModels:
        """How its models are made and loaded."""
        models = self.own.models
        assert isinstance(models, FittedModels), "models of settings are loaded from files"
        return models


def model_names(settings: Settings) -> list[str]:
    """The nodes with a model, in the order of the file."""
    return [name for name, node in settings.graph.nodes.items() if node.kind == "model"]


def require_model(settings: Settings, name: str) -> None:
    """Raise UsageError where a node has no model."""
    names = model_names(settings)
    if name not in names:
        there = f"the models are {', '.join(names)}" if names else "there is none"
        raise UsageError(f"{settings.file or 'settings'}: {name} is no node with a model; {there}")


def fit_source(
    settings: Settings,
    name: str,
    dates: str,
    data: Path | None,
    store: Folder | None,
    say: Callable[[str], None],
) -> FitSource:
    """The samples of a model over days of history: a date, or the first and the last of several.

    Each day is made by itself, as a backtest of it is.  Raises UsageError where a day is not there.
    """
    require_model(settings, name)
    history = open_history(data=data, store=store, reading=Reading(), say=say)
    wanted = days_between(dates) if BETWEEN in dates else [require_date(dates).isoformat()]
    there = history.dates(settings.stream_names)
    chosen = [date for date in wanted if date in there] if BETWEEN in dates else wanted
    if not chosen:
        raise UsageError(
            f"{dates}: the history has none of these days; it has {', '.join(there) or 'no whole day'}"
        )
    parts: list[Samples] = []
    whole: Pipeline | None = None
    for date in chosen:
        days = history.days(date, settings.stream_names, say)
        with TemporaryDirectory(prefix="tidemark-fit-") as folder:
            whole = _pipeline(settings, days, Path(folder), None)
            model = _model(whole, name)
            rows = _rows_with_label(settings, model, days, Path(folder))
        parts.append(samples_of(model, rows, clock_column(settings.pipeline.clock)))
        say(f"{date}: {rows.num_rows:,} rows, {parts[-1].rows:,} with a label and every column")
    assert whole is not None, "there is a day"
    return FitSource(name, model, whole.models[name], whole.graph_meaning, joined(parts))


def _model(pipeline: Pipeline, name: str) -> ModelSettings:
    """What a model reads and learns."""
    node = next(node for node in pipeline.declared.nodes if node.name == name)
    assert node.tiles is not None
    assert node.tiles.model is not None, f"{name} is a model"
    return node.tiles.model


def _rows_with_label(settings: Settings, model: ModelSettings, days: Sequence[Day], folder: Path) -> pa.Table:
    """The rows of the node with the label, over a day."""
    pipeline = _pipeline(settings, days, folder, model.y_node)
    folders = {name: folder / "rows" / name for name in pipeline.sinks(0)}
    run_batch(pipeline, days, folders, scratch=folder)
    return read_rows(folders[model.y_node])


def _pipeline(settings: Settings, days: Sequence[Day], folder: Path, only: str | None) -> Pipeline:
    """The pipeline of a run over these days: the whole graph, or what one node hangs on, with its output."""
    date = days[0].date
    grace_ns = ReplayRequest(date=date, out=folder / "run", wire=False).grace_ns_for(days, settings)
    bus = MemoryBus()
    config = run_settings(settings, days, prefix=PREFIX, bootstrap=bus.name, folder=folder, grace_ns=grace_ns)
    if only is not None:
        _keep(config["graph"], settings, only)
    config["bus"]["partitions"] = 1
    config["worker"]["format"] = "frame"
    run = Settings.model_validate(config)
    registry = open_registry(run.bus.schema_registry)
    for day in days:
        registry.register(f"{run.topic(day.stream.name)}-value", avro_schema(day.stream))
    return pipeline_on(run.read_from(settings.file), bus)


def _keep(graph: dict[str, Any], settings: Settings, name: str) -> None:
    """Leave of a graph what a node hangs on; the node alone has an output."""
    hangs_on = {node.name: node.hangs_on for node in declared_graph(settings).nodes}
    kept, waiting = set[str](), [name]
    while waiting:
        node = waiting.pop()
        if node in hangs_on and node not in kept:
            kept.add(node)
            waiting += hangs_on[node]
    for node in hangs_on:
        if node not in kept:
            del graph[node]
            continue
        graph[node].pop("out", None)
    graph[name]["out"] = {}
