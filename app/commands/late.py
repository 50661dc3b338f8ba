"""`python -m app late`: look at the rows that came below the frontier."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated

import typer

from app.cli import (
    LISTED,
    AsJson,
    Bootstrap,
    ConfigFile,
    Limit,
    Since,
    StreamName,
    app,
    console,
    moment_ns,
    print_lines,
    require_stream,
    say,
)
from app.config import Settings, load_settings
from app.errors import UsageError
from app.late.view import as_json, count_streams, in_full, listing, summary
from app.reading.late import read_late
from app.reading.letters import Place, StoredLetter, Tally, newest, with_original
from app.wiring.open import open_pipeline, open_topics
from schemas.clocks import NS_PER_MS
from schemas.letters import LateLetter
from topics.bus import Bus

late_app = typer.Typer(
    help="List, show and count late rows: those that came below the frontier and changed nothing.",
    no_args_is_help=True,
)
app.add_typer(late_app, name="late")


@late_app.command("list")
def late_list(
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
    stream: StreamName = None,
    since: Since = None,
    limit: Limit = None,
    json_: AsJson = False,
) -> None:
    """List late rows, a line for each message: where it came from, how late, and which frontier it met.

    Example: python -m app late list --config tidemark.toml --stream quote
    """
    settings, bus = _open(config, bootstrap)
    wanted = _wanted(bus, settings, stream, since)
    if json_:
        for stored in newest(wanted, limit):
            typer.echo(json.dumps(as_json(stored)))
        return
    total = Tally()
    shown = newest(total.of(wanted), LISTED if limit is None else limit)
    print_lines(listing(shown, total.letters, total.rows) if total.letters else [_none(settings, stream)])


@late_app.command("summary")
def late_summary(
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
    stream: StreamName = None,
    since: Since = None,
    json_: AsJson = False,
) -> None:
    """Count late rows by stream, with how late they were at most, and the first and last frontier they met.

    Example: python -m app late summary --config tidemark.toml
    """
    settings, bus = _open(config, bootstrap)
    counts = count_streams(_wanted(bus, settings, stream, since))
    if json_:
        for count in counts:
            typer.echo(json.dumps(asdict(count)))
    else:
        print_lines(summary(counts) if counts else [_none(settings, stream)])


@late_app.command("show")
def late_show(
    letter: Annotated[str, typer.Argument(help="Letter to show, partition@offset as `late list` names it.")],
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
) -> None:
    """Show one late message in full: headers, key, bytes, and its rows, decoded as its stream's are.

    A message that was too large for its letter is fetched from the topic that it came from.

    Example: python -m app late show 3@17 --config tidemark.toml
    """
    place = Place.parse(letter, "late")
    pipeline = open_pipeline(load_settings(config, {"bus": {"bootstrap": bootstrap}}), on_wait=say)
    settings = pipeline.settings
    numbers = range(settings.bus.partitions)
    for stored in read_late(pipeline.bus, settings, place.partition) if place.partition in numbers else ():
        if stored.place == place:
            topic = stored.letter.topic
            known = topic in pipeline.input_topics
            decoder = pipeline.decoder(pipeline.input_topics[topic]) if known else None
            whole, missing = with_original(pipeline.bus, settings, stored)
            console.print(in_full(whole, decoder, missing=missing), soft_wrap=True)
            return
    raise UsageError(f"there is no late letter {place}; see `python -m app late list`")


def _open(config: ConfigFile, bootstrap: str | None) -> tuple[Settings, Bus]:
    settings = load_settings(config, {"bus": {"bootstrap": bootstrap}})
    return settings, open_topics(settings)


def _wanted(
    bus: Bus, settings: Settings, stream: str | None, since: str | None
) -> Iterator[StoredLetter[LateLetter]]:
    """The letters of a stream, None for all, whose records are no older than a moment."""
    require_stream(settings.stream_names, stream)
    since_ms = None if since is None else moment_ns("--since", since) // NS_PER_MS
    for partition in range(settings.bus.partitions):
        for stored in read_late(bus, settings, partition):
            if (stream is None or stored.letter.stream == stream) and (
                since_ms is None or stored.original.timestamp_ms >= since_ms
            ):
                yield stored


def _none(settings: Settings, stream: str | None) -> str:
    """A sentence for an empty list, and why it may be empty although rows were late."""
    dropped = [name for name in settings.stream_names if settings.late(name)[0] == "drop"]
    why = (
        f"; late rows of {', '.join(dropped)} are dropped ({settings.late(dropped[0])[1]})" if dropped else ""
    )
    of = "" if stream is None else f" of {stream}"
    return f"no late rows{of} in {settings.topic('late')}{why}"
