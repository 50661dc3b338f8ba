"""The options of a command that publishes a day."""

from pathlib import Path
from typing import Annotated, Final

import typer

from replay.publish.messages import Shape
from schemas.clocks import Clock

STORE: Final = Path("build/history/generated")

StoreOption = Annotated[Path, typer.Option(help="Folder of the history, made where it is absent.")]
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
