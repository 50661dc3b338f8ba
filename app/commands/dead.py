"""`python -m app dead`: look at dead letters, and send back those that can be read by now."""

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
from app.dead.replay import Replay, replay, sent_places
from app.dead.view import as_json, count_reasons, in_full, listing, summary
from app.errors import UsageError
from app.reading.dead import Wanted, read_letters
from app.reading.letters import Place, StoredLetter, Tally, newest, with_original
from app.wiring.open import open_pipeline, open_topics
from app.wiring.pipeline import Pipeline
from schemas.clocks import NS_PER_MS
from schemas.letters import DeadLetter
from topics.bus import Bus

Reason = Annotated[
    str | None,
    typer.Option(help="Name of a rule, or text that the reason holds.  Default: any reason."),
]

dead_app = typer.Typer(
    help="List, count, show and replay dead letters: messages that could not be read or broke a rule.",
    no_args_is_help=True,
)
app.add_typer(dead_app, name="dead")


@dead_app.command("list")
def dead_list(
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
    stream: StreamName = None,
    reason: Reason = None,
    since: Since = None,
    limit: Limit = None,
    json_: AsJson = False,
) -> None:
    """List dead letters, a line each: where it came from, which rows are dead, and why.

    Example: python -m app dead list --config tidemark.toml --stream quote --reason finite
    """
    settings, bus = _open(config, bootstrap)
    wanted = _wanted(settings, stream, reason, since)
    sent = sent_places(bus, settings)

    def replayed(stored: StoredLetter[DeadLetter]) -> bool:
        return stored.place.offset in sent[stored.place.partition]

    letters = _letters(bus, settings, wanted)
    if json_:
        for stored in newest(letters, limit):
            typer.echo(json.dumps(as_json(stored, sent=replayed(stored))))
        return
    total = Tally()
    shown = newest(total.of(letters), LISTED if limit is None else limit)
    lines = listing([(stored, replayed(stored)) for stored in shown], total.letters)
    print_lines(lines if total.letters else [_none(settings, wanted)])


@dead_app.command("summary")
def dead_summary(
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
    stream: StreamName = None,
    reason: Reason = None,
    since: Since = None,
    json_: AsJson = False,
) -> None:
    """Count dead letters by topic and reason, with the record times of the first and the last.

    Example: python -m app dead summary --config tidemark.toml
    """
    settings, bus = _open(config, bootstrap)
    wanted = _wanted(settings, stream, reason, since)
    counts = count_reasons(_letters(bus, settings, wanted))
    if json_:
        for count in counts:
            typer.echo(json.dumps(asdict(count)))
    else:
        print_lines(summary(counts) if counts else [_none(settings, wanted)])


@dead_app.command("show")
def dead_show(
    letter: Annotated[str, typer.Argument(help="Letter to show, partition@offset as `dead list` names it.")],
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
) -> None:
    """Show one dead letter in full: headers, key, bytes, and its rows as far as they can be decoded now.

    A message that was too large for its letter is fetched from the topic that it came from.

    Example: python -m app dead show 3@17 --config tidemark.toml
    """
    place = Place.parse(letter, "dead")
    pipeline = _pipeline(config, bootstrap)
    partitions = pipeline.settings.bus.partitions
    if place.partition >= partitions:
        raise UsageError(f"there is no dead letter {place}: the topic has {partitions} partitions")
    for stored in read_letters(pipeline.bus, pipeline.settings, place.partition):
        if stored.place == place:
            topic = stored.letter.topic
            decoder = (
                pipeline.decoder(pipeline.input_topics[topic]) if topic in pipeline.input_topics else None
            )
            sent = place.offset in sent_places(pipeline.bus, pipeline.settings)[place.partition]
            whole, missing = with_original(pipeline.bus, pipeline.settings, stored)
            console.print(in_full(whole, decoder, sent=sent, missing=missing), soft_wrap=True)
            return
    raise UsageError(f"there is no dead letter {place}; see `python -m app dead list`")


@dead_app.command("replay")
def dead_replay(
    letters: Annotated[
        list[str] | None,
        typer.Argument(help="Letters to send, partition@offset.  Default: all that the options choose."),
    ] = None,
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
    stream: StreamName = None,
    reason: Reason = None,
    since: Since = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show which letters would be sent, and send none.")
    ] = False,
) -> None:
    """Send dead letters back to their topic and partition: the original bytes, each letter once for ever.

    The group PREFIX-dead-replay remembers which letters were sent; a later call passes them over.  A message
    that was too large for its letter is fetched from the topic that it came from.

    Example: python -m app dead replay --config tidemark.toml --reason "schema id" --dry-run
    """
    places = frozenset(Place.parse(letter, "dead") for letter in letters or ())
    pipeline = _pipeline(config, bootstrap)
    wanted = _wanted(pipeline.settings, stream, reason, since, places)
    _show(replay(pipeline, wanted, dry_run=dry_run), dry_run=dry_run)


def _show(report: Replay, *, dry_run: bool) -> None:
    verb = "would be sent" if dry_run else "sent"
    if dry_run:
        for line in report.sent:
            console.print(line, markup=False, soft_wrap=True)
    for line in report.left_out:
        console.print(f"left out {line}", markup=False, soft_wrap=True)
    console.print(f"{len(report.sent):,} letters {verb} to their topics")
    console.print(f"{report.before:,} passed over: sent before; {len(report.left_out):,} left out")
    if report.late:
        console.print(
            f"{report.late:,} of them hold rows below the frontier: late, so they change nothing sealed"
        )


def _pipeline(config: ConfigFile, bootstrap: str | None) -> Pipeline:
    return open_pipeline(load_settings(config, {"bus": {"bootstrap": bootstrap}}), on_wait=say)


def _open(config: ConfigFile, bootstrap: str | None) -> tuple[Settings, Bus]:
    settings = load_settings(config, {"bus": {"bootstrap": bootstrap}})
    return settings, open_topics(settings)


def _letters(bus: Bus, settings: Settings, wanted: Wanted) -> Iterator[StoredLetter[DeadLetter]]:
    for partition in range(settings.bus.partitions):
        for stored in read_letters(bus, settings, partition):
            if wanted.has(stored):
                yield stored


def _none(settings: Settings, wanted: Wanted) -> str:
    """A sentence for an empty list, and why it may be empty although messages were dead."""
    any_at_all = wanted == Wanted()
    drops = any_at_all and settings.worker.dead == "drop"
    why = '; worker.dead = "drop" keeps none' if drops else ""
    return f"no dead letters{'' if any_at_all else ' as wanted'} in {settings.topic('dead')}{why}"


def _wanted(
    settings: Settings,
    stream: str | None,
    reason: str | None,
    since: str | None,
    places: frozenset[Place] = frozenset(),
) -> Wanted:
    require_stream(settings.stream_names, stream)
    topic = None if stream is None else settings.topic(stream)
    return Wanted(
        topic=topic,
        reason=reason,
        since_ms=None if since is None else moment_ns("--since", since) // NS_PER_MS,
        places=places,
    )
