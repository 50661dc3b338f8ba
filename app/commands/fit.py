"""`graph fit` and `graph models`: models fitted over history, and the moments from which they are valid."""

import json
from pathlib import Path
from typing import Annotated

import typer

from app.cli import Bootstrap, ConfigFile, print_lines, say
from app.commands.graph import DataOption, HistoryOption, JsonOption, graph_app
from app.config import Settings, load_settings
from app.errors import UsageError
from app.fit.splits import MODES, Mode, Shares
from app.process.clock import monotonic_ns
from app.reading.models import topic_records
from app.wiring.model_store import ModelRecord, ModelStore
from app.wiring.open import open_bus, open_topics, pipeline_on
from app.words import duration
from replay.store.objects import store_of

NodeArgument = Annotated[str, typer.Argument(help="Node with the model.", metavar="NODE")]


@graph_app.command()
def fit(
    node: NodeArgument,
    date: Annotated[
        str, typer.Option(help="Day of the history, YYYY-MM-DD, or the first and the last: FIRST..LAST.")
    ],
    config: ConfigFile = None,
    mode: Annotated[
        Mode,
        typer.Option(
            help="in-sample: with all rows; test: the last share measures; validate: the last two do; "
            "folds: each fold by the others, purged, and no model is kept; rolling: again and again, as the "
            "node's table `fit` says."
        ),
    ] = "rolling",
    test: Annotated[float, typer.Option(help="Share of the rows that tests.")] = 0.2,
    validate: Annotated[float, typer.Option(help="Share of the rows that validates.")] = 0.2,
    folds: Annotated[int, typer.Option(help="How many folds.")] = 5,
    valid_from: Annotated[
        int | None,
        typer.Option(help="Event time in ns from which the model is used.  Default: the moment of its fit."),
    ] = None,
    data: DataOption = None,
    store: HistoryOption = None,
    publish: Annotated[
        bool,
        typer.Option(
            "--publish",
            help="Send the records to the pipeline on the broker too.  Default: the folder alone.",
        ),
    ] = False,
    bootstrap: Bootstrap = None,
) -> None:
    """Fit a model over days of history, and record from which moment of event time on it is used.

    Only rows train whose label was known before the moment of the fit, less the embargo.  The artefact goes
    to the folder of models under its sha256, with a record: backtests and checks use it from that moment on.
    With --publish workers do so as well.  A moment that a task has passed is refused, and recorded nowhere.

    Example: python -m app graph fit score --config my.toml --date 2024-01-15..2024-02-15

    Example: python -m app graph fit score --config my.toml --date 2024-01-15 --mode folds --folds 4
    """
    from app.fit.history_rows import fit_source  # with what reads history, which the others do not need
    from app.fit.run import Wish, run_fits

    begun_ns = monotonic_ns()
    settings = load_settings(config, {"bus": {"bootstrap": bootstrap}})
    if valid_from is not None and mode in ("folds", "rolling"):
        raise UsageError(f"--valid-from is for one model: not for --mode {mode}")
    assert mode in MODES, mode
    source = fit_source(settings, node, date, data, store_of(store), say)
    wish = Wish(mode, Shares(validate, test, folds), valid_from)
    records = run_fits(settings, source, wish, lambda line: print_lines([line]))
    where = _recorded(settings, records, publish=publish)
    print_lines([f"{len(records)} models in {where} · {duration(monotonic_ns() - begun_ns)}"])


@graph_app.command()
def models(
    node: Annotated[
        str | None, typer.Argument(help="Node whose models to show.  Default: all.", metavar="NODE")
    ] = None,
    config: ConfigFile = None,
    on_broker: Annotated[
        bool,
        typer.Option("--on-broker", help="Those that workers use.  Default: those of the folder."),
    ] = False,
    take_back: Annotated[
        int | None,
        typer.Option(
            help="Moment, in ns, whose record is taken back.  Default: none is.", metavar="VALID_FROM_NS"
        ),
    ] = None,
    publish: Annotated[
        bool,
        typer.Option("--publish", help="Send the records of the folder to the broker, as after a reset."),
    ] = False,
    past: Annotated[
        bool,
        typer.Option(
            "--past",
            help="Send those of moments that tasks have passed too, as after the topic was lost: a worker "
            "that used other models stops.",
        ),
    ] = False,
    bootstrap: Bootstrap = None,
    json_: JsonOption = False,
) -> None:
    """List models: from which moment of event time on each is used, its artefact, and its training rows.

    A record that is taken back must not have been used: a worker that did stops, and says so.

    Example: python -m app graph models --config my.toml

    Example: python -m app graph models score --take-back 1705334400000000000 --on-broker --config my.toml
    """
    from app.fit.run import record_line  # with what reads history, which other commands do not need

    settings = load_settings(config, {"bus": {"bootstrap": bootstrap}})
    store = ModelStore.of(settings)
    if take_back is not None:
        if node is None:
            raise UsageError("--take-back needs the node of the model: graph models NODE --take-back ...")
        print_lines(_take_back(settings, node, take_back, on_broker=on_broker))
        return
    if publish:
        print_lines(_send_folder(settings, node, past=past))
        return
    records = topic_records(open_bus(settings), settings) if on_broker else store.records()
    records = [one for one in records if node in (None, one.model)]
    if json_:
        typer.echo(json.dumps([one._asdict() for one in records]))
        return
    where = settings.topic("models") if on_broker else str(store.folder)
    print_lines([record_line(one) for one in records] or [f"{where} has no model"])


def _recorded(settings: Settings, records: list[ModelRecord], *, publish: bool) -> Path:
    """Write records down, and to the broker first: what it refuses no replay may use.  Returns the folder."""
    from app.fit.publish import publish as send

    if publish:
        sent = send(pipeline_on(settings, open_topics(settings)), records)
        print_lines([f"published {len(sent)} of {len(records)}, the others were there before"])
    store = ModelStore.of(settings)
    store.add(records)
    return store.folder


def _send_folder(settings: Settings, node: str | None, *, past: bool) -> list[str]:
    """Send the records of the folder to the broker; what to say of it."""
    from app.fit.publish import LEAD_NS, own_records, publish
    from app.fit.run import record_line

    pipeline = pipeline_on(settings, open_topics(settings))
    sent = publish(pipeline, own_records(pipeline, node), None if past else LEAD_NS)
    return [f"published: {record_line(one)}" for one in sent] or ["the broker has them all"]


def _take_back(settings: Settings, node: str, valid_from_ns: int, *, on_broker: bool) -> list[str]:
    """Take the record of a moment back, on the broker or in the folder; what to say of it."""
    from app.fit.publish import take_back
    from app.fit.run import record_line

    if on_broker:
        gone = [take_back(pipeline_on(settings, open_topics(settings)), node, valid_from_ns)]
    else:
        gone = _taken_out(ModelStore.of(settings), node, valid_from_ns)
    return [f"taken back: {record_line(one)}" for one in gone]


def _taken_out(store: ModelStore, node: str, valid_from_ns: int) -> list[ModelRecord]:
    """Take the records of a moment out of a folder, of whatever meaning; raises UsageError without any."""
    records = [one for one in store.records() if (one.model, one.valid_from_ns) == (node, valid_from_ns)]
    if not records:
        raise UsageError(f"{store.folder} has no record of {node} from {valid_from_ns}")
    for one in records:
        store.take_back(one.model, one.meaning, one.valid_from_ns)
    return records
