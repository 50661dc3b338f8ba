"""`python -m app dead`: look at dead letters, and send back those that can be read by now."""

import json
from collections import Counter, deque
from datetime import UTC, datetime
from typing import Annotated

import typer

from app.cli import Bootstrap, ConfigFile, app, console, say
from app.config import Settings, load_settings
from app.dead.replay import Replay, replay, sent_places
from app.dead.view import as_json, in_full, listing
from app.errors import UsageError
from app.reading.dead import Place, StoredLetter, Wanted, kind_of, read_letters, with_original
from app.wiring.open import open_pipeline
from app.wiring.pipeline import Pipeline

StreamName = Annotated[
    str | None, typer.Option("--stream", help="Input stream that the letters came from.  Default: all.")
]
Reason = Annotated[
    str | None,
    typer.Option(help="Name of a rule, or text that the reason holds.  Default: any reason."),
]
Since = Annotated[
    str | None,
    typer.Option(help="Earliest event time, ISO 8601, UTC: 2024-01-15T14:30.  Default: the beginning."),
]

dead_app = typer.Typer(
    help="List, show and replay dead letters: messages that could not be read or broke a rule.",
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
    limit: Annotated[
        int, typer.Option(min=0, help="Most letters to show, the newest; the counts are of all.")
    ] = 50,
    json_: Annotated[
        bool, typer.Option("--json", help="Print every letter, a JSON object a line.  Default: a table.")
    ] = False,
) -> None:
    """List dead letters with where each came from, why it is dead, and counts by reason.

    Example: python -m app dead list --config tidemark.toml --stream quote --reason finite
    """
    pipeline = _pipeline(config, bootstrap)
    wanted = _wanted(pipeline.settings, stream, reason, since)
    sent = sent_places(pipeline)
    newest: deque[tuple[StoredLetter, bool]] = deque(maxlen=limit)
    counts: Counter[tuple[str, str]] = Counter()
    for partition in range(pipeline.settings.bus.partitions):
        for stored in read_letters(pipeline.bus, pipeline.settings, partition):
            if not wanted.has(stored):
                continue
            replayed = stored.place.offset in sent[partition]
            if json_:
                typer.echo(json.dumps(as_json(stored, sent=replayed)))
                continue
            newest.append((stored, replayed))
            counts[stored.letter.topic, kind_of(stored.letter)] += 1
    if not json_:
        console.print(listing(newest, counts, counts.total()))


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
    place = _place(letter)
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
            sent = place.offset in sent_places(pipeline)[place.partition]
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
    places = frozenset(_place(letter) for letter in letters or ())
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


def _wanted(
    settings: Settings,
    stream: str | None,
    reason: str | None,
    since: str | None,
    places: frozenset[Place] = frozenset(),
) -> Wanted:
    if stream is not None and stream not in settings.stream_names:
        raise UsageError(f"--stream {stream}: the inputs are {', '.join(settings.stream_names)}")
    topic = None if stream is None else settings.topic(stream)
    return Wanted(
        topic=topic, reason=reason, since_ms=None if since is None else _since_ms(since), places=places
    )


def _since_ms(since: str) -> int:
    try:
        moment = datetime.fromisoformat(since)
    except ValueError:
        raise UsageError(f"--since {since!r} is no time; write it as 2024-01-15T14:30, UTC") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000)


def _place(letter: str) -> Place:
    partition, _, offset = letter.partition("@")
    if not (partition.isdecimal() and offset.isdecimal()):
        raise UsageError(f"{letter!r} names no dead letter; write partition@offset, as `dead list` does")
    return Place(int(partition), int(offset))
