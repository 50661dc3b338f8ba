"""`graph capture` and `graph replay`: an edge of a running graph, and what it comes to offline."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli import Bootstrap, ConfigFile, print_lines, say, stop_on_signals
from app.commands.durations import flag_ns
from app.commands.graph import graph_app
from app.config import load_settings
from app.errors import UsageError
from app.wiring.open import open_pipeline
from app.words import duration

CAPTURES = Path("build/captures")


@graph_app.command()
def capture(
    edge: Annotated[
        str, typer.Option(help="What to capture at: aligned, a stream that nodes read, or a node.")
    ],
    length: Annotated[
        str | None,
        typer.Option("--for", help="How long, such as 10m; Ctrl-C ends it before.  Default: must be said."),
    ] = None,
    from_beginning: Annotated[
        bool,
        typer.Option(
            "--from-beginning",
            help="All that was sealed so far, at once, in place of --for.  Default: from now on.",
        ),
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="New folder for the capture.  Default: build/captures/EDGE.")
    ] = None,
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
) -> None:
    """Capture the rows at an edge of a running graph, with what nodes behind it remembered before.

    The capture says from which place to which it has the sealed rows of each task; workers may die and
    restart meanwhile, and none is asked for anything.  `graph replay` runs it again, without a broker.

    Example: python -m app graph capture --edge aligned --for 10m --config tidemark.toml
    """
    from app.capture.take import take_capture  # with Polars, which the other commands do not need

    length_ns = flag_ns("for", length, None)
    if (length_ns is None) == (not from_beginning):
        raise UsageError("say how long to capture, --for 10m, or --from-beginning for all that there is")
    settings = load_settings(config, {"bus": {"bootstrap": bootstrap}})
    pipeline = open_pipeline(settings, on_wait=say)
    folder = out or CAPTURES / edge
    captured = take_capture(pipeline, edge, folder, length_ns=length_ns, stopping=stop_on_signals(), say=say)
    lines = []
    for root in captured.spans[0].rows:
        rows = sum(span.rows[root] for span in captured.spans)
        before = sum(span.before[root] for span in captured.spans)
        lines.append(f"{root}: {rows:,} rows in {len(captured.spans)} partitions, and {before:,} before them")
    entries = "" if length_ns is None else f" over {duration(length_ns)}"
    lines.append(f"{folder}: {edge}{entries}; python -m app graph replay {folder}")
    print_lines(lines)


@graph_app.command()
def replay(
    folder: Annotated[Path, typer.Argument(help="A folder that graph capture made.", metavar="CAPTURE")],
    to: Annotated[
        str | None, typer.Option(help="Node to run up to.  Default: all that hang on the edge.")
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Run a capture through its graph again, without a broker, and compare with what live gave, bit by bit.

    Equal is said with the parity, which is that of the commits; else the first row that differs is named,
    with its column and both values, exit 1.  With --config the graph of that file runs over the same rows.

    Example: python -m app graph replay build/captures/aligned --to tick
    """
    from app.capture.play import Replay, played_lines

    run = Replay(folder, to, config)
    played = run.play()
    print_lines(played_lines(run, played))
    if any(one.apart for one in played):
        raise typer.Exit(1)
