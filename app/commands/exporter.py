"""`exporter`: the figures of a group as Prometheus reads them, from outside its workers."""

import sys
from typing import Annotated, Final

import typer

from app.cli import Bootstrap, ConfigFile, app, say, stop_on_signals
from app.config import load_settings
from app.metrics.collector import registry_of, rendered
from app.metrics.heart import Heart
from app.metrics.pages import Answer, Page, health_page
from app.process.clock import now_ns, pause
from app.watch.exporter import GroupCollector
from app.watch.watermarks import Watch, look
from app.wiring.open import open_topics
from app.worker.endpoint import serve
from topics.bus import BusUnavailableError

PORT: Final = 9463  # one below that of slot 0, as the page shows them
LOOK_AGAIN_S: Final = 1.0


@app.command()
def exporter(
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port to answer at, 0 for any that is free.")
    ] = PORT,
    address: Annotated[
        str | None,
        typer.Option(help="Address to answer at.  Default: metrics.address of the settings, 127.0.0.1."),
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="Print what a scrape would get, and end.  Default: answer scrapes.")
    ] = False,
) -> None:
    """Answer scrapes with frontiers, watermarks, lags and what waits, as seen from outside the workers.

    It looks once a second, as `watermarks` does, and joins no group, so that a worker that hangs is seen.
    Workers say the rest of themselves: `align --metrics-port`.  Runs until SIGTERM.

    Example: python -m app exporter --config tidemark.toml --port 9463
    """
    settings = load_settings(config, {"bus": {"bootstrap": bootstrap}, "metrics": {"address": address}})
    collector, watch, heart = GroupCollector(settings), Watch(), Heart()
    registry = registry_of(collector)
    admin = open_topics(settings).admin()

    def look_once() -> str:
        """Look; returns why there is no answer."""
        collector.now_ns = now_ns()
        try:
            collector.picture = look(admin, settings, now_ns(), watch)
        except BusUnavailableError as away:
            return str(away)
        finally:
            heart.beat()
        return ""

    def scrape(accept: str) -> Answer:
        content_type, text = rendered(registry, accept)
        return Answer(200, text, content_type)

    away = look_once()
    if once:
        sys.stdout.write(scrape("").text.decode())
        return
    pages = {
        "/metrics": Page(scrape),
        "/livez": health_page(lambda: "" if heart.is_live else "it does not look any more"),
        "/readyz": health_page(lambda: "" if collector.picture else f"awaits an answer: {away}"),
    }
    server = serve(settings.metrics, port, pages)
    say(f"figures of group {settings.pipeline.prefix} at http://{server.where}/metrics")
    stopping = stop_on_signals()
    try:
        while not stopping():
            pause(LOOK_AGAIN_S)
            away = look_once()
    finally:
        server.close()
