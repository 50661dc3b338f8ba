"""The topics of a pipeline on their way into the history."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli import Bootstrap, ConfigFile, app, say
from app.config import Settings, load_settings
from app.errors import UsageError
from app.wiring.open import open_pipeline
from replay.capture.capture import HELD_SIZE_MAX, CaptureLimits
from replay.capture.session import CapturedTopic, CaptureTarget
from replay.capture.session import capture as capture_topics
from replay.dates import NEW_YORK
from replay.publish.options import STORE, StoreOption
from schemas.clocks import NS_PER_S

StreamsOption = Annotated[
    str | None, typer.Option(help="Inputs to capture, with a comma between them.  Default: all.")
]
ZoneOption = Annotated[str, typer.Option(help="Time zone (IANA name) whose calendar days new tables have.")]
BucketsOption = Annotated[
    int | None,
    typer.Option(
        min=1, help="Buckets of a new table, a multiple of the topic's partitions.  Default: 16 or more."
    ),
]
SecondsOption = Annotated[
    float, typer.Option(min=0.0, help="Longest time, in seconds, that rows are held before a commit.")
]
SizeOption = Annotated[
    int, typer.Option(min=1, help="Bytes of rows in memory at which they are committed earlier.")
]
GroupOption = Annotated[
    str | None, typer.Option(help="Consumer group that shows the lag.  Default: PREFIX-capture.")
]
GapFlag = Annotated[
    bool, typer.Option("--accept-gap", help="Go on behind rows that the log has no more, and note it.")
]
EndFlag = Annotated[
    bool, typer.Option("--to-end", help="Stop where the topics end now, instead of on a signal.")
]


@app.command()
def capture(
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
    store: StoreOption = STORE,
    streams: StreamsOption = None,
    timezone: ZoneOption = NEW_YORK,
    buckets: BucketsOption = None,
    flush_seconds: SecondsOption = 60.0,
    flush_size: SizeOption = HELD_SIZE_MAX,
    group: GroupOption = None,
    accept_gap: GapFlag = False,
    to_end: EndFlag = False,
) -> None:
    """Capture the inputs of a pipeline into tables of the history, each row once; stopped, it goes on.

    Where reading goes on is part of the table, so a capture that dies loses and doubles nothing, and of two
    at once one is refused.  What cannot be read goes to the table STREAM_dead, with the reason.

    Example: python -m app capture --config tidemark.toml --store build/history/live
    """
    settings = load_settings(config, {"bus": {"bootstrap": bootstrap}})
    pipeline = open_pipeline(settings, on_wait=say)
    topics = [
        CapturedTopic(
            topic=settings.topic(name),
            partitions=settings.bus.partitions,
            stream=pipeline.streams[name],
            decoder=pipeline.decoder(name),
        )
        for name in _chosen(settings, streams)
    ]
    target = CaptureTarget(
        bus=pipeline.bus,
        store=Path(store),
        group=group or f"{settings.pipeline.prefix}-capture",
        zone=timezone,
        buckets=buckets,
        limits=CaptureLimits(held_size_max=flush_size, held_ns_max=int(flush_seconds * NS_PER_S)),
        accepts_gaps=accept_gap,
        to_end=to_end,
    )
    raise typer.Exit(capture_topics(topics, target))


def _chosen(settings: Settings, streams: str | None) -> list[str]:
    if streams is None:
        return list(settings.stream_names)
    names = [name.strip() for name in streams.split(",")]
    unknown = [name for name in names if name not in settings.stream_names]
    if unknown:
        raise UsageError(
            f"--streams {', '.join(unknown)}: the pipeline reads {', '.join(settings.stream_names)}"
        )
    return names
