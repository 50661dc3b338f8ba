"""The page of a group, put together: views behind addresses, and the guard before them."""

from collections.abc import Iterable
from pathlib import Path

from app.config import Settings
from app.serve.feed import Feed
from app.serve.guard import Guard, host_name
from app.serve.letters import LetterReader
from app.serve.looker import Looker
from app.serve.runs import Runs
from app.serve.server import LOOPBACK, Listening
from app.serve.site import Site
from app.wiring.pipeline import Pipeline
from topics.bus import Bus

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})


def page_of(
    settings: Settings,
    bus: Bus,
    pipeline: Pipeline | None,
    runs: Path,
    listening: Listening,
    allowed_hosts: Iterable[str],
) -> Guard:
    """The page as an ASGI application; `allowed_hosts` are names by which browsers come besides."""
    feed = Feed(Looker(settings, bus, pipeline))
    site = Site(feed, LetterReader(settings, bus), Runs(runs, settings), pipeline)
    own = f"[{listening.host}]" if ":" in listening.host else listening.host
    hosts = {host_name(name) for name in allowed_hosts} | {own}
    if listening.host in LOOPBACK:
        hosts |= LOCAL_NAMES
    return Guard(site.application(), hosts=frozenset(hosts), token=listening.token, secure=listening.secure)
