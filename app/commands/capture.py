"""The topics of a pipeline on their way into the history."""

from typing import Annotated

import typer

from app.cli import Bootstrap, ConfigFile, app, say
from app.config import load_settings
from app.wiring.captured import captured_topics
from app.wiring.open import open_pipeline
from replay.capture.capture import HELD_SIZE_MAX, CaptureLimits
from replay.capture.normal import NormalRules, normalised
from replay.capture.session import CaptureTarget
from replay.capture.session import capture as capture_topics
from replay.dates import NEW_YORK
from replay.publish.options import STORE, StoreOption
from replay.quality_options import (
    ConditionsOption,
    ConditionTableOption,
    OddLotsOption,
    condition_columns,
    table_of,
)
from replay.store.objects import parse_store
from schemas.clocks import NS_PER_S

StreamsOption = Annotated[
    str | None,
    typer.Option(
        help="What to capture, with a comma between them: inputs, aligned, nodes, late, dead.  "
        "Default: all inputs."
    ),
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
FactorOption = Annotated[
    list[str] | None,
    typer.Option(
        "--factor",
        help="Factor of a column's values, STREAM.COLUMN=FACTOR, a number or a fraction such as "
        "trade.price=1/10000; give it once for each.  Default: none.",
    ),
]
DefaultOption = Annotated[
    list[str] | None,
    typer.Option(
        "--default",
        help="Value in the place of a column's nulls, STREAM.COLUMN=VALUE; give it once for each.  "
        "Default: none.",
    ),
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
    factor: FactorOption = None,
    default: DefaultOption = None,
    conditions: ConditionsOption = None,
    condition_table: ConditionTableOption = None,
    odd_lots: OddLotsOption = "all",
    accept_gap: GapFlag = False,
    to_end: EndFlag = False,
) -> None:
    """Capture topics of a pipeline into tables of the history, each row once; stopped, it goes on.

    Where reading goes on is part of the table, so a capture that dies loses and doubles nothing, and of two
    at once one is refused.  What cannot be read goes to the table STREAM_dead, with the reason.  Rows are
    kept as they were sent, but for --factor and --default; --conditions adds columns.

    Example: python -m app capture --config tidemark.toml --store build/history/live

    Example: python -m app capture --config tidemark.toml --streams aligned,late,dead --to-end
    """
    settings = load_settings(config, {"bus": {"bootstrap": bootstrap}})
    pipeline = open_pipeline(settings, on_wait=say)
    names = None if streams is None else [name.strip() for name in streams.split(",")]
    columns, table = condition_columns(conditions or ()), table_of(condition_table, odd_lots)
    rules = NormalRules.parse(factor or (), default or (), columns, table)
    topics = normalised(captured_topics(pipeline, names), rules)
    target = CaptureTarget(
        bus=pipeline.bus,
        store=parse_store(store),
        group=group or f"{settings.pipeline.prefix}-capture",
        zone=timezone,
        buckets=buckets,
        limits=CaptureLimits(held_size_max=flush_size, held_ns_max=int(flush_seconds * NS_PER_S)),
        accepts_gaps=accept_gap,
        to_end=to_end,
    )
    raise typer.Exit(capture_topics(topics, target))
