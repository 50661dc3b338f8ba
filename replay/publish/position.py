"""How far a publication has come, as it is committed beside the messages themselves."""

import json
from dataclasses import asdict, dataclass

from replay.errors import PublishError
from schemas.json_text import read_json
from topics.bus import Position


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """Rows of one stream's day that are on the topic; `day` is the fingerprint of that day's rows."""

    stream: str
    date: str
    day: str
    rows: int
    complete: bool

    def to_position(self) -> Position:
        """As a committed offset: the rows, and the rest as JSON."""
        return Position(offset=self.rows, metadata=json.dumps(asdict(self)))

    @classmethod
    def from_position(cls, position: Position, group: str) -> "Published":
        """Read it back; raises PublishError where something else is committed there."""
        try:
            return cls(**read_json(position.metadata))
        except (ValueError, TypeError):
            raise PublishError(
                f"group {group} has a position that no publication wrote "
                f"({position.metadata!r}): name another run"
            ) from None


def rows_done(before: Published | None, *, stream: str, date: str, day: str, run: str) -> tuple[int, bool]:
    """Return how many rows of `date` the run has published before, and whether it is done with them all.

    Raises PublishError where going on would double rows, leave a gap, or send a day that is late.
    """
    if before is None:
        return 0, False
    if before.date == date:
        if before.day != day and before.rows:
            raise PublishError(
                f"run {run} has published {before.rows:,} rows of another {stream} {date}: "
                f"its history has changed since; publish it as another run, to fresh topics"
            )
        return before.rows, before.complete
    if not before.complete:
        raise PublishError(
            f"run {run} stopped half-way in {stream} {before.date} ({before.rows:,} rows): "
            f"publish that day first"
        )
    if before.date > date:
        raise PublishError(
            f"run {run} has published {stream} up to {before.date}: {date} would be late; "
            f"publish it as another run"
        )
    return 0, False
