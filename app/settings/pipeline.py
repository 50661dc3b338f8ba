"""The table `[pipeline]`: the join and its inputs."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from app.settings.section import Name, Section, TopicName, WholeNs
from schemas.clocks import Clock


class PipelineSettings(Section):
    """The join and its inputs."""

    prefix: TopicName = "tidemark"  # begins the topics' names and is the consumer group's name
    left: Name = "trade"  # one output row per row of this stream
    right: Annotated[tuple[Name, ...], Field(min_length=1)] = ("quote",)  # looked up for each left row
    clock: Clock = "event"  # join on when it happened, or on when it could be known
    direction: Literal["backward", "forward", "nearest"] = (
        "backward"  # the last row up to it, or with a tolerance the first from it on, or the closest
    )
    allow_exact: bool = True  # may a right row of the same nanosecond match
    tolerance_ns: WholeNs | None = None  # farthest right row that still matches; none: any
    carry: Literal["row", "column"] = (
        "row"  # the row as it is, or per column the last value that was not null
    )
    # How far the watermark trails the newest row: less loses rows to the late topic, more delays sealing.
    # 50 ms covers what one venue's feed handlers were seen to reorder.
    grace_ns: WholeNs = 50_000_000
    # A quiet partition holds every row that waits for it.  With this it is left out once it has been silent
    # for so long at the end of its log; what it sends later and below the frontier is late.
    idle_after_ms: Annotated[int, Field(ge=1)] | None = None
    # One wrong time far ahead would carry the watermark along and make all that follows late.
    max_ahead_ns: WholeNs | None = None  # a row further ahead is a dead letter; none: no limit
    max_ahead_of: Literal["wall", "inputs"] = "wall"  # ahead of this machine's clock, or of all inputs so far

    @model_validator(mode="after")
    def _streams_are_distinct(self) -> "PipelineSettings":
        if len({self.left, *self.right}) != 1 + len(self.right):
            raise ValueError(f"left {self.left!r} and right {list(self.right)} must be different streams")
        return self
