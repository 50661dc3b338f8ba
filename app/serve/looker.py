"""One look at a group: its tasks as commits and logs have them, and what left it since the look before."""

from collections.abc import Mapping
from dataclasses import replace
from threading import Lock
from typing import Any

import structlog

from app.config import Settings
from app.errors import RunError
from app.process.clock import now_ns
from app.serve.follower import Follower
from app.serve.strips import Departed, Strips
from app.watch.tails import with_tails
from app.watch.view import as_json
from app.watch.watermarks import Picture, Watch, look
from app.wiring.pipeline import Pipeline
from topics.bus import Bus, BusError

log = structlog.get_logger()


class Looker:
    """Looks at a group from outside and remembers the last minutes; `look` is for one thread."""

    def __init__(self, settings: Settings, bus: Bus, pipeline: Pipeline | None) -> None:
        """`pipeline` reads rows; None where nobody has registered the streams yet."""
        self.strips = Strips()
        self._settings = settings
        self._bus = bus
        self._pipeline = pipeline
        self._watch = Watch()
        self._admin = bus.admin()
        self._follower: Follower | None = None
        self._lock = Lock()

    def look(self) -> dict[str, Any]:
        """What is seen now; where nothing is, `away` says why.  Nothing that goes wrong is raised."""
        try:
            picture = self._picture()
            departed = self._departed(picture)
        except (BusError, RunError) as away:
            return {"away": str(away), "now_ns": now_ns()}
        except Exception as fault:  # a page that shows nothing any more would look like a group at rest
            log.exception("the look failed")
            return {"away": f"the look failed: {type(fault).__name__}: {fault}", "now_ns": now_ns()}
        with self._lock:
            point = self.strips.add(picture, departed)
        broken = "" if self._follower is None else self._follower.broken
        return {"away": "", "broken": broken, "picture": as_json(picture), "point": point._asdict()}

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

    def close(self) -> None:
        """Let go of the broker."""
        if self._follower is not None:
            self._follower.close()

    def _picture(self) -> Picture:
        picture = look(self._admin, self._settings, now_ns(), self._watch)
        if self._pipeline is None:
            return picture
        return with_tails(replace(picture, rule=self._pipeline.rule), self._pipeline)

    def _departed(self, picture: Picture) -> Departed:
        """What left since the last look; the first one begins with what comes from then on."""
        if self._follower is None:
            group = f"{self._settings.pipeline.prefix}-page"
            partitions = self._settings.bus.partitions
            self._follower = Follower(self._bus, picture.outputs, partitions, group)
            return Departed(0, ())
        with self._lock:
            return self._follower.look()
