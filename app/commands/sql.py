"""A query over the history of a pipeline's inputs, with rows that are not captured yet."""

from contextlib import ExitStack
from pathlib import Path

from app.cli import Bootstrap, ConfigFile, app, say
from app.config import load_settings
from app.errors import UsageError
from app.wiring.open import open_pipeline
from replay.capture.tail import Tail
from replay.history import query_snapshots
from replay.publish.options import STORE, AsOfOption, StoreOption, VersionOption, parse_as_of, parse_versions
from replay.query_command import (
    ExplainFlag,
    FromOption,
    LiveFlag,
    OutOption,
    QueryArgument,
    SymbolsOption,
    ToOption,
    parse_wanted,
    print_answer,
)
from replay.store.objects import Folder, parse_store
from replay.store.snapshot import Snapshot
from replay.store.sql import open_query


@app.command()
def sql(
    query: QueryArgument,
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
    store: StoreOption = STORE,
    from_: FromOption = None,
    to: ToOption = None,
    symbols: SymbolsOption = None,
    version: VersionOption = None,
    as_of: AsOfOption = None,
    explain: ExplainFlag = False,
    out: OutOption = None,
    live: LiveFlag = False,
) -> None:
    """Answer a query over tables of the history and, with --live, the rows of topics that they lack yet.

    Each row is there once: tables have those below the next offset of their partition, and the topics are
    read from there to their ends.

    Example: python -m app sql 'select max(event_ns) from quote' --config tidemark.toml --live
    """
    if live and (version or as_of is not None):
        raise UsageError("--live reads on from the newest version: leave out --version and --as-of")
    wanted = parse_wanted(from_, to, symbols)
    snapshots = query_snapshots(
        query, versions=parse_versions(version or ()), as_of_ns=parse_as_of(as_of), store=parse_store(store)
    )
    if live:
        snapshots |= _live(list(snapshots), config, bootstrap, parse_store(store))
    with open_query(query, snapshots, wanted) as answer:
        print_answer(answer, explain=explain, out=out)


def _live(
    streams: list[str], config: Path | None, bootstrap: str | None, store: Folder
) -> dict[str, Snapshot]:
    """A snapshot of each input that the query names, with what its topic has beyond its table now."""
    settings = load_settings(config, {"bus": {"bootstrap": bootstrap}})
    pipeline = open_pipeline(settings, on_wait=say)
    inputs = [name for name in streams if name in settings.stream_names]
    if not inputs:
        there = ", ".join(settings.stream_names)
        raise UsageError(f"--live: the query names no table of an input; the pipeline reads {there}")
    snapshots = {}
    with ExitStack() as readers:
        for name in inputs:
            tail = Tail(
                bus=pipeline.bus,
                topic=settings.topic(name),
                partitions=range(settings.bus.partitions),
                decoder=pipeline.decoder(name),
                store=store,
                stream=name,
                group=f"{settings.pipeline.prefix}-tail",
            )
            readers.callback(tail.close)
            tail.catch_up()
            snapshots[name] = tail.snapshot()
    return snapshots
