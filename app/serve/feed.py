"""The feed: one look a second for all browsers, each of which gets the same text as it is made."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from threading import Event, Lock, Thread
from typing import Any, Final

import structlog

from app.config import Settings
from app.errors import RunError
from app.process.clock import now_ns
from app.serve.follower import Follower
from app.serve.plain import browser_json
from app.serve.strips import Sealed, Strips
from app.watch.tails import with_tails
from app.watch.view import as_json
from app.watch.watermarks import Picture, Watch, look
from app.wiring.pipeline import Pipeline
from topics.bus import Bus, BusError

log = structlog.get_logger()

LOOK_AGAIN_S: Final = 1.0
CLIENTS_MAX: Final = 32
BEAT_S: Final = 15.0  # without a look a comment goes out: whoever is between does not close what is quiet


class Feed:
    """Looks at a group in a thread of its own, and keeps what it saw.

    `latest` is the last look as JSON, replaced as a whole.  Nothing that goes wrong ends the looks: it is
    shown in place of them.
    """

    def __init__(self, settings: Settings, bus: Bus, pipeline: Pipeline | None) -> None:
        """`pipeline` reads rows; None where nobody has registered the streams yet."""
        self.settings = settings
        self.strips = Strips()
        self.latest = browser_json({"away": "the first look is under way"})
        self.looks = 0
        self.clients = 0
        self._bus = bus
        self._pipeline = pipeline
        self._watch = Watch()
        self._admin = bus.admin()
        self._follower: Follower | None = None
        self._lock = Lock()
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="feed", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._stopping.set()
        self._thread.join(timeout=10)

    def history(self) -> dict[str, Any]:
        """The points of the last minutes, the oldest first, and by task who held it."""
        with self._lock:
            return {
                "points": [point._asdict() for point in self.strips.points],
                "holders": {
                    number: [one._asdict() for one in past] for number, past in self.strips.holders.items()
                },
            }

    def nulls(self) -> Mapping[str, Any]:
        """By output: rows of frames seen since this page began, and of each feature its nulls by reason."""
        follower = self._follower
        if follower is None:
            return {}
        with self._lock:
            return {
                name: {
                    "rows": follower.counted[name],
                    "nulls": [
                        {"feature": feature, "reason": reason, "rows": rows}
                        for (feature, reason), rows in sorted(counts.items())
                    ],
                }
                for name, counts in follower.nulls.items()
            }

    async def events(self) -> AsyncIterator[bytes]:
        """The looks as server-sent events, from the last one on, until the browser goes."""
        self.clients += 1
        try:
            seen, waited = -1, 0.0
            while not self._stopping.is_set():
                if self.looks != seen:
                    seen, waited = self.looks, 0.0
                    yield f"id: {seen}\ndata: {self.latest}\n\n".encode()
                elif waited >= BEAT_S:
                    waited = 0.0
                    yield b": quiet\n\n"
                await asyncio.sleep(0.1)
                waited += 0.1
        finally:
            self.clients -= 1

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.latest = browser_json(self._look())
            self.looks += 1
            self._stopping.wait(LOOK_AGAIN_S)
        if self._follower is not None:
            self._follower.close()

    def _look(self) -> dict[str, Any]:
        try:
            picture = self._picture()
            sealed = self._sealed(picture)
        except (BusError, RunError) as away:
            return {"away": str(away), "now_ns": now_ns()}
        except Exception as fault:  # a page that shows nothing any more would look like a group at rest
            log.exception("the look failed")
            return {"away": f"the look failed: {type(fault).__name__}: {fault}", "now_ns": now_ns()}
        with self._lock:
            point = self.strips.add(picture, sealed)
        broken = "" if self._follower is None else self._follower.broken
        return {"away": "", "broken": broken, "picture": as_json(picture), "point": point._asdict()}

    def _picture(self) -> Picture:
        picture = look(self._admin, self.settings, now_ns(), self._watch)
        if self._pipeline is None:
            return picture
        return with_tails(replace(picture, rule=self._pipeline.rule), self._pipeline)

    def _sealed(self, picture: Picture) -> Sealed:
        """What left since the last look; the first one begins with what comes from then on."""
        if self._follower is None:
            self._follower = Follower(
                self._bus,
                picture.outputs,
                self.settings.bus.partitions,
                f"{self.settings.pipeline.prefix}-page",
            )
            return Sealed(0, ())
        return self._follower.look()
