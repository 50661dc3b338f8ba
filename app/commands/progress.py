"""`python -m app progress`: say by hand that no earlier row follows."""

from typing import Annotated

import typer

from app.cli import Bootstrap, ConfigFile, app, console, moment_ns, require_stream
from app.config import load_settings
from app.process.clock import now_ns
from app.progress.send import doubt_words, require_near, require_writable, send_progress
from app.watch.words import clock_words
from app.wiring.open import open_topics
from topics.registry.open import open_registry


@app.command()
def progress(
    upper: Annotated[
        str,
        typer.Option(help="Time below which no row follows: `now`, or ISO 8601, UTC: 2024-01-15T21:00."),
    ],
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
    final: Annotated[
        bool,
        typer.Option("--final", help="Say that a period ends there: `align --until-final` ends with it."),
    ] = False,
    ahead: Annotated[
        bool,
        typer.Option("--ahead", help="--upper may lie ahead of this machine's clock.  Default: refused."),
    ] = False,
    stream: Annotated[
        list[str] | None,
        typer.Option(help="Input stream to write into; give it once for each.  Default: all."),
    ] = None,
) -> None:
    """Write a progress record into every partition of the inputs, so that rows which wait get out.

    It is a promise: a row below that time which comes later is late.  For history give the time at which it
    ends, not `now`.

    Example: python -m app progress --config tidemark.toml --upper 2024-01-15T21:00 --final
    """
    settings = load_settings(config, {"bus": {"bootstrap": bootstrap}})
    for name in stream or ():
        require_stream(settings.stream_names, name)
    streams = list(dict.fromkeys(stream or settings.stream_names))
    at_ns = now_ns()
    upper_ns = at_ns if upper == "now" else moment_ns("--upper", upper)
    require_writable(settings, streams, named=bool(stream))
    require_near(settings, upper_ns, at_ns, ahead=ahead)
    bus = open_topics(settings)
    registry = open_registry(settings.bus.schema_registry, settings.bus.registry_settings())
    send_progress(bus, registry, settings, streams, upper_ns=upper_ns, final=final)
    for name in streams:
        words = f"{settings.bus.partitions} partitions of {settings.topic(name)}"
        console.print(
            f"{name}: {'final ' if final else ''}progress up to {clock_words(upper_ns, 0)} UTC into {words}",
            soft_wrap=True,
        )
    console.print("a row below that time which comes from now on is late", soft_wrap=True)
    if doubt := doubt_words(settings):
        console.print(doubt, markup=False, soft_wrap=True)
