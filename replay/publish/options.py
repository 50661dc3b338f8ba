"""The options of a command that publishes a day."""

from collections.abc import Sequence
from typing import Annotated, Final

import typer

from replay.dates import parse_moment
from replay.errors import HistoryError, PublishError
from replay.publish.messages import Shape
from replay.store.days import STORE as FOLDER
from schemas.clocks import Clock

STORE: Final = str(FOLDER)
StoreOption = Annotated[
    str,
    typer.Option(
        help="Folder of the history, made where it is absent, or a URL: s3://BUCKET/FOLDER, gs://, az://."
    ),
]
DateOption = Annotated[str, typer.Option(help="Day to publish, YYYY-MM-DD.")]
PrefixOption = Annotated[
    str | None,
    typer.Option(
        "--topics",
        "--prefix",
        help="First part of the topics' names: PREFIX.trade, PREFIX.quote.  Default: pipeline.prefix of the "
        "settings, else tidemark.",
    ),
]
ShapeOption = Annotated[
    Shape, typer.Option(help="Shape of a message: record, one row, or block, many rows of one symbol.")
]
VersionOption = Annotated[
    list[str] | None,
    typer.Option(
        "--version",
        help="Version of a stream's table to publish, STREAM=NUMBER; give it once for each.  "
        "Default: the newest.",
    ),
]
AsOfOption = Annotated[
    str | None,
    typer.Option(
        "--as-of",
        help="Take tables as they were at a moment: ISO 8601, UTC where it names no zone, or nanoseconds.  "
        "Default: as they are.",
    ),
]
SpeedOption = Annotated[str, typer.Option(help="Pace: max, or a multiple of market time such as 1 or 10.")]
GraceOption = Annotated[
    int | None,
    typer.Option(
        help="Grace of the worker, in nanoseconds; rows are published no further out of order.  "
        "Default: that of the settings, else 50000000."
    ),
]
ClockOption = Annotated[
    Clock | None,
    typer.Option(
        help="Clock that the worker joins on; rows are published in its order.  "
        "Default: pipeline.clock of the settings, else event."
    ),
]
RegistryOption = Annotated[
    str | None,
    typer.Option(
        help="Schema registry: its URL, or a folder that serves as one.  "
        "Default: bus.schema_registry of the settings, else build/schemas."
    ),
]
RunOption = Annotated[
    str | None,
    typer.Option(help="Name of the publication; the same name goes on where it stopped.  Default: PREFIX."),
]
ClientConfig = Annotated[
    typer.FileText | None,
    typer.Option(
        help="File of librdkafka settings, a key=value a line; schema.registry.* are for the registry's "
        "client; - is standard input.  Default: none."
    ),
]


def parse_as_of(text: str | None) -> int | None:
    """Read a moment as int64 ns UTC, None for none; raises PublishError for anything else."""
    try:
        return None if text is None else parse_moment(text)
    except HistoryError as wrong:
        raise PublishError(f"--as-of {wrong}") from None


def parse_versions(lines: Sequence[str]) -> dict[str, int]:
    """Read `STREAM=NUMBER`; raises PublishError for anything else."""
    versions = {}
    for line in lines:
        stream, _, number = line.partition("=")
        if not number.isdecimal():
            raise PublishError(f"--version {line!r}: write STREAM=NUMBER, such as quote=12")
        versions[stream] = int(number)
    return versions
