"""`python -m app kafka`: the broker on loopback, for whoever has no Makefile."""

from typing import Annotated

import typer

from app.cli import app
from app.wiring.broker import run_script

kafka_app = typer.Typer(
    help="Start and stop a real one-node Kafka on loopback; it needs Java 17, and Maven to be fetched.",
    no_args_is_help=True,
)
app.add_typer(kafka_app, name="kafka")


@kafka_app.command("start")
def kafka_start(
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65_535, help="Port to force.  Default: the last one, else a free one."),
    ] = None,
) -> None:
    """Start the broker, or find it running, and print its host:port.

    Example: python -m app kafka start --port 9092
    """
    raise typer.Exit(run_script("start", port))


@kafka_app.command("stop")
def kafka_stop() -> None:
    """Stop the broker; its log and its port stay for the next start.

    Example: python -m app kafka stop
    """
    raise typer.Exit(run_script("stop"))


@kafka_app.command("status")
def kafka_status() -> None:
    """Print what runs where; exit 1 when nothing does.

    Example: python -m app kafka status
    """
    raise typer.Exit(run_script("status"))


@kafka_app.command("address")
def kafka_address() -> None:
    """Print the broker's host:port alone; exit 1 when it does not run.

    Example: python -m app kafka address
    """
    raise typer.Exit(run_script("address"))
