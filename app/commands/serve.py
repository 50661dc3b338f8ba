"""`serve`: a page that shows a group from outside its workers."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from app.cli import Bootstrap, ConfigFile, app, say
from app.config import load_settings
from app.errors import RunError
from app.wiring.open import open_topics, pipeline_on
from topics.wire import RegistryUnavailableError

if TYPE_CHECKING:
    from app.wiring.pipeline import Pipeline

LISTEN: Final = "127.0.0.1:8765"
RUNS: Final = Path("build/replay")
GIVES_WAY: Final = 10  # to workers on the same machine


@app.command()
def serve(
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
    listen: Annotated[
        str, typer.Option(help="HOST:PORT to answer at; port 0 for any that is free.")
    ] = LISTEN,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            help="Name by which browsers come, again for each.  Default: the address itself and localhost."
        ),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(help="File with the token that is asked for.  Default: none, on loopback alone."),
    ] = None,
    tls_certificate: Annotated[
        Path | None, typer.Option(help="File with the certificate of this server, PEM.  Default: no TLS.")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(help="File with the key of the certificate, PEM.  Default: none.")
    ] = None,
    behind_proxy: Annotated[
        bool,
        typer.Option(
            "--behind-proxy", help="Say that a proxy before this one ends TLS.  Default: none does."
        ),
    ] = False,
    runs: Annotated[Path, typer.Option(help="Folder whose runs are shown: replays and backtests.")] = RUNS,
) -> None:
    """Show the group in a browser: who holds each task, symbols, late and dead rows, runs, the graph.

    It only reads, joins no group, and looks twice a second for all browsers together.  Runs until SIGTERM.

    Example: python -m app serve --config tidemark.toml --listen 127.0.0.1:8765
    """
    os.nice(GIVES_WAY)
    # Imported here: the server's libraries are for this command alone, and a worker must not load them.
    from app.serve.page import page_of
    from app.serve.server import Listening, open_socket, parse_address, read_token, server_of

    settings = load_settings(config, {"bus": {"bootstrap": bootstrap}})
    host, port = parse_address(listen)
    token = "" if token_file is None else read_token(token_file)
    listening = Listening(host, port, token, tls_certificate, tls_key, behind_proxy)
    listening.require_safe()
    bus = open_topics(settings)
    pipeline: Pipeline | None = None
    try:
        pipeline = pipeline_on(settings, bus, on_wait=say)
    except (RunError, RegistryUnavailableError) as unknown:
        say(f"rows cannot be read, so there are no symbols: {unknown}")
    page = page_of(settings, bus, pipeline, runs, listening, allow_host or ())
    opened = open_socket(listening)
    say(f"group {settings.pipeline.prefix} at {listening.address(opened.getsockname()[1])}")
    server_of(page, listening).run(sockets=[opened])
